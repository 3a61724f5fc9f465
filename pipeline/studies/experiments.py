"""DVC's experiments and queue, as studies need them: finished experiments, waiting tasks, failures."""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import psutil

from pipeline.errors import PipelineError
from pipeline.git import GitError, git
from pipeline.locks import out_of_reach_of_ctrl_c

CODE = ("pipeline", "stages", "dvc.yaml")
"""Paths of the code that an experiment takes from the last commit."""

WORKER_TIMEOUT = 60.0
"""Seconds within which a worker of DVC's queue must answer."""

READ_ATTEMPTS = 30
"""Number of successive failures to read a file of DVC's queue, until the file counts as damaged."""

READ_PAUSE = 0.2
"""Seconds between two attempts."""

HALF_WRITTEN = re.compile(r"JSONDecodeError|Expecting value: line 1 column 1")
"""Messages of DVC's own commands when they read a half-written file."""

ATTEMPTS = 3
"""Number of attempts for a DVC command that reads such files."""

T = TypeVar("T")


@dataclass(frozen=True)
class Experiment:
    """A finished experiment.

    Attributes:
        name: name in ``dvc exp show``.
        commit: the commit in which DVC keeps it.
        baseline: the commit from which it was started.
    """

    name: str
    commit: str
    baseline: str

    def text(self, path: str) -> str | None:
        """Return the content of a project file that git keeps of the experiment; None if there is none."""
        try:
            return git("show", f"{self.commit}:./{path}")
        except GitError:
            return None

    def has(self, paths: Iterable[Path]) -> bool:
        """Return whether files and folders are the same in the experiment and in the last commit."""
        then, now = tracked_objects(self.commit), tracked_objects(_head())
        return all(then.get(path.as_posix()) == now.get(path.as_posix()) for path in paths)

    def revision(self) -> str:
        """Return the abbreviated hash of the commit from which it was started."""
        return git("rev-parse", "--short", self.baseline).strip()


def finished() -> dict[str, list[Experiment]]:
    """Return all experiments of this repository by name, newest first. Each commit may have one of the same name.

    Raises:
        PipelineError: this folder is not in a git repository, or git refuses to use it.
    """
    try:
        listed = git("for-each-ref", "--sort=-committerdate", "--format=%(refname) %(objectname)", "refs/exps")
    except GitError as error:
        raise PipelineError(f"studies are stored as DVC experiments, which need git: {error}") from error
    found: dict[str, list[Experiment]] = {}
    for line in listed.splitlines():
        reference, commit = line.split()
        parts = reference.split("/")
        if len(parts) == 5:  # refs/exps/12/3456…/NAME; other references are internal to DVC
            found.setdefault(parts[-1], []).append(Experiment(parts[-1], commit, parts[2] + parts[3]))
    return found


def require_whole_history() -> None:
    """Refuse a shallow clone. DVC cannot fetch an experiment's results into it, loses them, and reports "Success".

    Raises:
        PipelineError: the repository does not have its whole history.
    """
    if git("rev-parse", "--is-shallow-repository").strip() == "true":
        raise PipelineError(
            "this clone is shallow (git clone --depth), and DVC loses the results of experiments in such a clone; "
            "fetch the whole history first: git fetch --unshallow"
        )


@cache
def tracked_objects(commit: str) -> dict[str, str]:
    """Return git's object IDs of all files and folders of code at a commit, by path in the project."""
    listed = git("ls-tree", "-r", "-t", "-z", commit, "--", *CODE).rstrip("\0").split("\0")
    return {path: entry.split()[2] for entry, path in (line.split("\t", 1) for line in listed)}


def uncommitted() -> list[str]:
    """Return changed code files and params.yaml, because experiments start from the last commit."""
    below = git("rev-parse", "--show-prefix").rstrip("\n")
    changed = git("status", "--porcelain", "-z", "--no-renames", "--", *CODE, "params.yaml")
    return [entry[3:].removeprefix(below) for entry in changed.split("\0") if entry]


def queue() -> dict[str, str]:
    """Return the state of every task in DVC's queue, by the experiment's name.

    Returns:
        Queued, Running, Failed, Success, or Lost: DVC believes it is running, but no worker and no process works on it,
        for example after a power failure.
    """
    with _dvcs_queue() as dvcs:
        # The latest task of a name counts, because a failed one may have been queued again.
        tasks = sorted(_query(dvcs, dvcs.status), key=lambda task: task["timestamp"])
        lost = _lost([task["rev"] for task in tasks if task["status"] == "Running"], dvcs)
    return {task["name"]: "Lost" if task["rev"] in lost else task["status"] for task in tasks if task["name"]}


def _lost(running: Sequence[str], dvcs: Any) -> set[str]:
    """Return the running tasks, by revision, that neither a worker of DVC's queue nor a process works on."""
    if not running:
        return set()
    workers = _query(dvcs, dvcs.worker_status)
    theirs = {task["args"][0]["stash_rev"] for tasks in workers.values() for task in tasks}
    commands = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return {rev for rev in running if rev not in theirs and not any(rev in command for command in commands)}


def mark_failed(names: Sequence[str]) -> None:
    """Mark lost tasks as failed, so that DVC can remove them."""
    if not names:
        return
    with _dvcs_queue() as dvcs:

        def mark() -> None:
            for message in dvcs.celery.iter_processed():
                task = message.headers["id"]
                if message.decode()[0][0]["name"] in names and not dvcs.celery.AsyncResult(task).ready():
                    dvcs.celery.backend.mark_as_failure(task, None)

        _query(dvcs, mark)


@contextmanager
def _dvcs_queue() -> Iterator[Any]:
    """Yield DVC's object of its queue."""
    from dvc.repo import Repo

    with Repo() as repo:
        yield repo.experiments.celery_queue


def _query(dvcs: Any, at: Callable[[], T]) -> T:
    """Query DVC's queue, repeatedly if a file of it is half written.

    The queue is a folder of small JSON files, which DVC's processes write in place. Reading one at that moment finds it
    empty. If the process is killed then, it stays empty.

    Args:
        dvcs: DVC's queue.
        at: the query; it may be called several times.

    Returns:
        The result of ``at``.

    Raises:
        PipelineError: a file with waiting, running or ended tasks stays unreadable.
    """
    from kombu.exceptions import DecodeError

    left = READ_ATTEMPTS
    while True:
        try:
            return at()
        except (ValueError, DecodeError) as error:
            left -= 1
            if not left:
                if not _remove_damaged_routes(Path(dvcs.wdir)):
                    raise PipelineError(_queue_fault(Path(dvcs.wdir), error)) from error
                left = READ_ATTEMPTS
        time.sleep(READ_PAUSE)


def _remove_damaged_routes(folder: Path) -> list[Path]:
    """Remove unreadable routing tables of the queue's broker. DVC writes them again when it contacts its workers."""
    damaged = _damaged(folder.glob("broker/control/*.exchange"))
    for path in damaged:
        path.unlink(missing_ok=True)
    return damaged


def _queue_fault(folder: Path, error: Exception) -> str:
    """Return what is wrong with DVC's queue and what to do."""
    if damaged := _damaged(path for path in folder.rglob("*") if path.is_file()):
        where = shlex.join(map(str, damaged))
        return (
            f"DVC's queue contains incomplete files, for example after a power failure: {where}. Remove them, and run "
            f"the same command again: their experiments are queued again. rm {where}"
        )
    return f"DVC's queue in {folder} cannot be read: {error!r}. dvc queue remove --all empties it"


def _damaged(files: Iterable[Path]) -> list[Path]:
    """Return the files of the queue that are not valid JSON."""
    found = []
    for path in files:
        try:
            json.loads(path.read_bytes())
        except FileNotFoundError:
            continue
        except ValueError:
            found.append(path)
    return sorted(found)


def enqueue(name: str, changes: Sequence[str]) -> None:
    """Queue an experiment. Ctrl-C takes effect afterwards: DVC writes into params.yaml meanwhile, and restores it.

    Raises:
        PipelineError: DVC refuses, with DVC's message.
    """
    sets = [part for change in changes for part in ("-S", change)]
    with out_of_reach_of_ctrl_c():
        _dvc("exp", "run", "--queue", "--name", name, *sets)


def start_workers(jobs: int, gpus: Sequence[str] = ()) -> None:
    """Start DVC's workers, which run ``jobs`` queued experiments at a time.

    Args:
        jobs: number of simultaneous experiments.
        gpus: the GPUs of each job, in the form of CUDA_VISIBLE_DEVICES; if there are more jobs, they are reused from
            the first. Empty: all jobs see the same GPUs.

    Raises:
        PipelineError: DVC's queue fails, or a worker does not start.
    """
    if not gpus:
        _dvc("queue", "start", "--jobs", str(jobs))
        return
    for number in range(1, jobs + 1):
        # DVC starts all missing workers up to this number: one, because the earlier ones have started.
        _dvc("queue", "start", "--jobs", str(number), CUDA_VISIBLE_DEVICES=gpus[(number - 1) % len(gpus)])
        _wait_for_worker(number)


def _wait_for_worker(number: int) -> None:
    begun = time.monotonic()
    with _dvcs_queue() as dvcs:
        while not any(name.endswith(f"-{number}@localhost") for name in _query(dvcs, dvcs.worker_status)):
            if time.monotonic() - begun > WORKER_TIMEOUT:
                raise PipelineError(
                    f"worker {number} of DVC's queue has not started after {WORKER_TIMEOUT:.0f} seconds"
                )


def remove_tasks(names: Sequence[str]) -> None:
    """Remove failed or waiting tasks from the queue. Ctrl-C takes effect when they are removed."""
    if not names:
        return
    with out_of_reach_of_ctrl_c():
        _dvc("queue", "remove", *names)


def free_name(name: str, existing: Sequence[Experiment]) -> None:
    """Free a name: rename the last commit's experiment of this name to NAME-COMMIT."""
    for one in existing:
        if one.baseline == _head():
            _dvc("exp", "rename", name, f"{name}-{one.commit[:7]}")


def failure_message(name: str) -> str:
    """Return why a task failed: the last errors in its output ("error: …" or an exception), else its last lines."""
    result = subprocess.run(
        [sys.executable, "-m", "dvc", "queue", "logs", name],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    said = [line.strip() for line in result.stdout.replace("\r", "\n").splitlines() if line.strip()]
    own = [line for line in said if re.match(r"error: |[A-Za-z.]+Error: ", line)]
    return "\n".join((own or said)[-3:])


def _head() -> str:
    """Return the last commit. It is not cached, because there may be a new one at any time."""
    return git("log", "--max-count=1", "--format=%H").strip()


def _dvc(*arguments: str, **variables: str) -> None:
    command = [sys.executable, "-m", "dvc", *arguments]
    for attempt in range(1, ATTEMPTS + 1):
        # A file, because the queue's workers would inherit a pipe, which then stays open until all of them end.
        with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
            returned = subprocess.call(command, env=os.environ | variables, stdout=subprocess.DEVNULL, stderr=file)
            file.seek(0)
            said = file.read().strip()
        if not returned:
            return
        if attempt == ATTEMPTS or not HALF_WRITTEN.search(said):
            raise PipelineError(f"dvc {' '.join(arguments[:3])}: {said}")
        with _dvcs_queue() as dvcs:
            _query(dvcs, dvcs.worker_status)
