"""Running a study's missing experiments in DVC's queue. After an interruption, run it again to continue."""

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
"""Seconds between two checks of the queue."""

POLLS_WITHOUT_WORKERS = 24
"""Number of successive checks at which nothing runs although tasks wait or are lost, until an error (two minutes)."""

WITHOUT_RESULT = (
    "DVC says that it succeeded, but reports/evaluate has no result with these parameters (dvc queue logs {0}; "
    "dvc exp show)"
)


def begin(planned: Sequence[Run], jobs: int) -> tuple[list[str], dict[str, str]]:
    """Queue every planned experiment that has no results with the present code and parameters, and start DVC's workers.

    While DVC queues an experiment, it writes the experiment's parameters into params.yaml, and restores the file
    afterwards; nobody should read the file meanwhile. Existing results are kept: those of other commits unchanged, one
    of this commit under another name.

    Args:
        planned: all experiments of the study.
        jobs: number of simultaneous experiments; each gets its own GPU if there are several.

    Returns:
        The names of the experiments that wait or run; and those that DVC refuses, with its message.

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
    """Return the CUDA GPUs that this process sees, in the form of CUDA_VISIBLE_DEVICES."""
    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return named.split(",")[:count] if named else [str(number) for number in range(count)]


def gpus_of_jobs(jobs: int, each: int) -> list[str]:
    """Divide the GPUs among jobs.

    Args:
        jobs: number of simultaneous experiments.
        each: number of GPUs per job.

    Returns:
        The GPUs of each job, in the form of CUDA_VISIBLE_DEVICES; empty if there are too few for two jobs.
    """
    gpus = visible_gpus()
    groups = [",".join(gpus[first : first + each]) for first in range(0, len(gpus) - each + 1, each)]
    return groups if jobs > 1 and len(groups) > 1 else []


def _queue(wanted: Sequence[Run], existing: Mapping[str, Sequence[experiments.Experiment]]) -> dict[str, str]:
    """Queue the runs that neither wait nor run; return the runs that DVC refuses, by name, with its message."""
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
    """Return the states of the queue's tasks. A task that a worker is just starting does not count as lost."""
    states = experiments.queue()
    if "Lost" in states.values():
        time.sleep(POLL_SECONDS)
        states = experiments.queue()
    return states


def watch(names: Sequence[str]) -> None:
    """Show one progress bar over all experiments until none waits or runs. Ctrl-C does not stop the queue.

    Raises:
        PipelineError: the queue's workers ended early.
        KeyboardInterrupt: Ctrl-C was pressed; its text says that the queue continues.
    """
    if not names:
        return
    still = 0
    try:
        # miniters=0: redraw regularly even if nothing ends, to update the time and the running experiments.
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
                        f"DVC's queue is stuck: {len(names) - len(ended)} experiments wait or were interrupted, and "
                        "none runs; run the same command again to start its workers (dvc queue status, dvc queue logs "
                        "NAME)"
                    )
                time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "DVC's queue continues. The same command watches it again; dvc queue stop starts no further "
            "experiment, and dvc queue kill NAME ends a running one"
        ) from None


def failures(names: Sequence[str], ran: Collection[str] = ()) -> dict[str, str]:
    """Return the experiments that failed last time, by name, with the end of their output.

    Args:
        names: names of experiments without results.
        ran: those of them that have just run without leaving their result. They count as failed whatever DVC says;
            otherwise they would be run again forever.
    """
    states = experiments.queue() if names else {}
    failed = {name: experiments.failure_message(name) for name in names if states.get(name) == "Failed"}
    without = {name: WITHOUT_RESULT.format(name) for name in ran if name not in failed}
    return failed | without
