"""Running what a study still lacks, on DVC's queue; started again after any interruption, it goes on."""

import os
import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from pipeline.errors import PipelineError
from pipeline.progress import progress_bar
from pipeline.studies import experiments
from pipeline.studies.collect import state_of
from pipeline.studies.plan import Run

if TYPE_CHECKING:
    from tqdm import tqdm

POLL_SECONDS = 5.0
"""Seconds between two looks at the queue."""

POLLS_WITHOUT_WORKERS = 24
"""Looks in a row at which nothing runs while something waits or is lost, before that is an error (two minutes)."""

WITHOUT_RESULT = (
    "DVC says that it ended well, but reports/evaluate has no result of it with these parameters (dvc queue logs {0}; "
    "dvc exp show)"
)


def begin(planned: Sequence[Run], jobs: int) -> tuple[list[str], dict[str, str]]:
    """Let DVC's queue work on every planned experiment that is not done with this code and these parameters.

    DVC writes the parameters of each into params.yaml while it queues it, and restores the file afterwards: nobody
    should read it meanwhile. Results that exist are kept: those of other commits as they are, one of this commit by
    another name.

    Args:
        planned: all experiments of the study.
        jobs: experiments at a time, each on a GPU of its own where there are several.

    Returns:
        The names of those that wait or run, and those that DVC refuses with its message; the others go on.

    Raises:
        PipelineError: the clone is shallow, code or params.yaml is not committed, or DVC's queue fails.
    """
    if changed := experiments.uncommitted():
        raise PipelineError(f"experiments start from the last commit: commit {', '.join(changed)} first")
    existing = experiments.finished()
    experiments.require_whole_history()
    wanted = [run for run in planned if state_of(run, existing) != "done"]
    refused = _queue(wanted, existing)
    queued = [run.name for run in wanted if run.name not in refused]
    if queued:
        experiments.start_workers(jobs, gpus_of_jobs(jobs, max(run.params.compute.devices for run in planned)))
    return queued, refused


def visible_gpus() -> list[str]:
    """The CUDA GPUs that this process sees, as CUDA_VISIBLE_DEVICES names them."""
    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return named.split(",")[:count] if named else [str(number) for number in range(count)]


def gpus_of_jobs(jobs: int, each: int) -> list[str]:
    """Divide the GPUs among jobs.

    Args:
        jobs: experiments at a time.
        each: GPUs that one job uses.

    Returns:
        The GPUs of each job, as CUDA_VISIBLE_DEVICES names them; empty where they do not suffice for two jobs.
    """
    gpus = visible_gpus()
    groups = [",".join(gpus[first : first + each]) for first in range(0, len(gpus) - each + 1, each)]
    return groups if jobs > 1 and len(groups) > 1 else []


def _queue(wanted: Sequence[Run], existing: Mapping[str, Sequence[experiments.Experiment]]) -> dict[str, str]:
    """Queue what neither waits nor runs; returns what DVC refuses, by name, with its message."""
    states = _settled() if wanted else {}
    idle = [run for run in wanted if states.get(run.name) not in ("Queued", "Running")]
    experiments.mark_failed([run.name for run in idle if states.get(run.name) == "Lost"])
    experiments.remove_tasks([run.name for run in idle if run.name in states])
    refused = {}
    for run in progress_bar(idle, desc="queue", leave=False, unit="experiment"):
        try:
            experiments.free_name(run.name, existing.get(run.name, ()))
            experiments.enqueue(run.name, run.changes)
        except PipelineError as error:
            refused[run.name] = str(error)
    return refused


def _settled() -> dict[str, str]:
    """The states of the queue's tasks; one that a worker is just handing to a process does not count as lost."""
    states = experiments.queue()
    if "Lost" in states.values():
        time.sleep(POLL_SECONDS)
        states = experiments.queue()
    return states


def watch(names: Sequence[str]) -> None:
    """Show one progress bar over all until none waits or runs; Ctrl-C leaves the queue at work.

    Raises:
        PipelineError: the queue's workers have ended before it.
        KeyboardInterrupt: Ctrl-C was pressed; it says what goes on.
    """
    if not names:
        return
    still = 0
    try:
        # miniters=0: drawn at its intervals also while nothing ends, for the time and for what runs.
        progress: tqdm[Any] = progress_bar(total=len(names), desc="study", unit="experiment", miniters=0)
        with progress:
            while True:
                states = experiments.queue()
                ended = [name for name in names if states.get(name, "Success") in ("Success", "Failed")]
                running = [name for name in names if states.get(name) == "Running"]
                progress.set_postfix_str(", ".join(running), refresh=False)
                progress.update(len(ended) - progress.n)
                if len(ended) == len(names):
                    return
                still = 0 if running else still + 1
                if still > POLLS_WITHOUT_WORKERS:
                    raise PipelineError(
                        f"DVC's queue does not move: {len(names) - len(ended)} experiments wait or were cut off, and "
                        "none runs; run the same command again to start its workers (dvc queue status, dvc queue logs "
                        "NAME)"
                    )
                time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "what runs and waits in DVC's queue goes on. The same command watches it again; "
            "dvc queue stop lets nothing more begin, and dvc queue kill NAME ends what runs"
        ) from None


def failures(names: Sequence[str], ran: Collection[str] = ()) -> dict[str, str]:
    """Those that failed last time, by name, with the end of their output.

    Args:
        names: of experiments that are not done.
        ran: those of them that have just run and left no result that is theirs; they count as failed, whatever DVC
            says: run again and again they would never be done.
    """
    states = experiments.queue() if names else {}
    failed = {name: experiments.failure_message(name) for name in names if states.get(name) == "Failed"}
    without = {name: WITHOUT_RESULT.format(name) for name in ran if name not in failed}
    return failed | without
