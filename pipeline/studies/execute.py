"""Running what a study still lacks, on DVC's queue; started again after any interruption, it goes on."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.bars import bar
from pipeline.errors import PipelineError
from pipeline.studies import experiments
from pipeline.studies.collect import state_of
from pipeline.studies.plan import Run

if TYPE_CHECKING:
    from tqdm import tqdm

LOOK_EVERY = 5.0
"""Seconds between two looks at the queue."""

WITHOUT_WORKERS = 24
"""Looks in a row at which nothing runs while something waits, before the workers count as lost (two minutes)."""


def begin(planned: Sequence[Run], jobs: int) -> tuple[list[str], dict[str, str]]:
    """Let DVC's queue work on every planned experiment that is not done with this code and these parameters.

    jobs: experiments at a time. Returns the names of those that wait or run, and those that DVC refuses with what it
    says; the others go on. DVC writes the parameters of each into params.yaml while it queues it, and puts back what
    was there: nobody should read it meanwhile.
    Results that are there stay there: those of other commits as they are, one of this commit by another name.

    Raises:
        PipelineError: code or params.yaml is not committed, or DVC's queue fails.
    """
    if changed := experiments.uncommitted():
        raise PipelineError(f"experiments start from the last commit: commit {', '.join(changed)} first")
    there = experiments.finished()
    wanted = [run for run in planned if state_of(run, there) != "done"]
    refused = _queue(wanted, there)
    queued = [run.name for run in wanted if run.name not in refused]
    if queued:
        experiments.start(jobs)
    return queued, refused


def _queue(wanted: Sequence[Run], there: Mapping[str, Sequence[experiments.Experiment]]) -> dict[str, str]:
    """Queue what neither waits nor runs; returns what DVC refuses, by name, with what it says."""
    states = experiments.queue() if wanted else {}
    idle = [run for run in wanted if states.get(run.name) not in ("Queued", "Running")]
    experiments.forget([run.name for run in idle if run.name in states])
    refused = {}
    for run in bar(idle, desc="queue", leave=False, unit="experiment"):
        try:
            experiments.free(run.name, there.get(run.name, ()))
            experiments.put(run.name, run.changes)
        except PipelineError as error:
            refused[run.name] = str(error)
    return refused


def watch(names: Sequence[str]) -> dict[str, str]:
    """Show one bar over all until none waits or runs; Ctrl-C leaves the queue at work.

    Returns the failed ones, by name, with the end of what they said.

    Raises:
        PipelineError: the queue's workers have ended before it, or Ctrl-C.
    """
    if not names:
        return {}
    failed: dict[str, str] = {}
    lost = 0
    try:
        # miniters=0: drawn at its intervals also while nothing ends, for the time and for what runs.
        progress: tqdm[Any] = bar(total=len(names), desc="study", unit="experiment", miniters=0)
        with progress:
            while True:
                states = experiments.queue()
                ended = [name for name in names if states.get(name, "Success") in ("Success", "Failed")]
                running = [name for name in names if states.get(name) == "Running"]
                progress.set_postfix_str(", ".join(running), refresh=False)
                progress.update(len(ended) - progress.n)
                if len(ended) == len(names):
                    break
                lost = 0 if running else lost + 1
                if lost > WITHOUT_WORKERS:
                    raise PipelineError(
                        f"DVC's queue does not move: {len(names) - len(ended)} experiments wait and none runs; run the "
                        "same command again to start its workers (dvc queue status, dvc queue logs NAME)"
                    )
                time.sleep(LOOK_EVERY)
            failed = {name: experiments.log(name) for name in names if states.get(name) == "Failed"}
    except KeyboardInterrupt:
        raise PipelineError(
            "interrupted; what runs and waits in DVC's queue goes on. The same command watches it again; "
            "dvc queue stop --kill ends it"
        ) from None
    return failed
