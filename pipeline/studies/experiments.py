"""DVC's experiments and its queue, as a study needs them: what is there, what waits, what failed."""

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
"""Where the code is that an experiment takes from the last commit."""

WORKER_TIMEOUT = 60.0
"""Seconds within which a worker of DVC's queue must answer."""

LOOKS = 30
"""Looks in a row at which a file of DVC's queue cannot be read, before it counts as damaged."""

LOOK_PAUSE = 0.2
"""Seconds between two of them."""

HALF_WRITTEN = re.compile(r"JSONDecodeError|Expecting value: line 1 column 1")
"""What DVC's own commands say where they meet such a file."""

ATTEMPTS = 3
"""How often a command of DVC's is called that meets such files."""

T = TypeVar("T")


@dataclass(frozen=True)
class Experiment:
    """A finished experiment.

    Attributes:
        name: in ``dvc exp show``.
        commit: what DVC keeps of it.
        baseline: the commit that it was started from.
    """

    name: str
    commit: str
    baseline: str

    def text(self, path: str) -> str | None:
        """The content of a file of the project that git keeps of it; None: it has no such file."""
        try:
            return git("show", f"{self.commit}:./{path}")
        except GitError:
            return None

    def has(self, paths: Iterable[Path]) -> bool:
        """Whether files and folders are the same in it and in the last commit."""
        then, now = tracked_objects(self.commit), tracked_objects(_head())
        return all(then.get(path.as_posix()) == now.get(path.as_posix()) for path in paths)

    def revision(self) -> str:
        """The commit that it was started from, abbreviated."""
        return git("rev-parse", "--short", self.baseline).strip()


def finished() -> dict[str, list[Experiment]]:
    """All experiments of this repository by name, the newest first: each commit may have one of a name.

    Raises:
        PipelineError: this folder is in no git repository, or git refuses to use it.
    """
    try:
        listed = git("for-each-ref", "--sort=-committerdate", "--format=%(refname) %(objectname)", "refs/exps")
    except GitError as error:
        raise PipelineError(f"studies are kept as DVC experiments, which need git: {error}") from error
    found: dict[str, list[Experiment]] = {}
    for line in listed.splitlines():
        reference, commit = line.split()
        parts = reference.split("/")
        if len(parts) == 5:  # refs/exps/12/3456…/NAME; others are DVC's own
            found.setdefault(parts[-1], []).append(Experiment(parts[-1], commit, parts[2] + parts[3]))
    return found


def require_whole_history() -> None:
    """Refuse a shallow clone: DVC cannot fetch into it what an experiment has made, drops it, and says "Success".

    Raises:
        PipelineError: the repository has not its whole history.
    """
    if git("rev-parse", "--is-shallow-repository").strip() == "true":
        raise PipelineError(
            "this clone is shallow (git clone --depth), and DVC loses the results of experiments in such a clone; "
            "fetch the whole history first: git fetch --unshallow"
        )


@cache
def tracked_objects(commit: str) -> dict[str, str]:
    """Git's object id of every file and folder of code at a commit, by its path in the project."""
    listed = git("ls-tree", "-r", "-t", "-z", commit, "--", *CODE).rstrip("\0").split("\0")
    return {path: entry.split()[2] for entry, path in (line.split("\t", 1) for line in listed)}


def uncommitted() -> list[str]:
    """Changed files of code and params.yaml: experiments start from the last commit."""
    below = git("rev-parse", "--show-prefix").rstrip("\n")
    changed = git("status", "--porcelain", "-z", "--no-renames", "--", *CODE, "params.yaml")
    return [entry[3:].removeprefix(below) for entry in changed.split("\0") if entry]


def queue() -> dict[str, str]:
    """The state of every task in DVC's queue, by the experiment's name.

    Returns:
        Queued, Running, Failed, Success, or Lost: DVC takes it for running, for ever, but no worker has it and no
        process works on it, as after a power cut.
    """
    with _dvcs_queue() as dvcs:
        # The latest of a name counts: a failed one may have been queued again.
        tasks = sorted(_look(dvcs, dvcs.status), key=lambda task: task["timestamp"])
        lost = _lost([task["rev"] for task in tasks if task["status"] == "Running"], dvcs)
    return {task["name"]: "Lost" if task["rev"] in lost else task["status"] for task in tasks if task["name"]}


def _lost(running: Sequence[str], dvcs: Any) -> set[str]:
    """Those of the running tasks, by revision, that neither a worker of DVC's queue nor a process works on."""
    if not running:
        return set()
    workers = _look(dvcs, dvcs.worker_status)
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

        _look(dvcs, mark)


@contextmanager
def _dvcs_queue() -> Iterator[Any]:
    """DVC's own object of its queue."""
    from dvc.repo import Repo

    with Repo() as repo:
        yield repo.experiments.celery_queue


def _look(dvcs: Any, at: Callable[[], T]) -> T:
    """Look at DVC's queue, and look again where a file of it is half written.

    The queue is a folder of small JSON files, which DVC's processes write in place: who reads one in that moment finds
    it empty. A process that is killed then leaves it so.

    Args:
        dvcs: DVC's queue.
        at: what asks it; it may be called several times.

    Returns:
        What ``at`` returns.

    Raises:
        PipelineError: a file that says what waits, runs or has ended stays unreadable.
    """
    from kombu.exceptions import DecodeError

    left = LOOKS
    while True:
        try:
            return at()
        except (ValueError, DecodeError) as error:
            left -= 1
            if not left:
                if not _remove_damaged_routes(Path(dvcs.wdir)):
                    raise PipelineError(_queue_fault(Path(dvcs.wdir), error)) from error
                left = LOOKS
        time.sleep(LOOK_PAUSE)


def _remove_damaged_routes(folder: Path) -> list[Path]:
    """Remove the tables of the queue's own mail that cannot be read; DVC writes them anew when it asks its workers."""
    damaged = _damaged(folder.glob("broker/control/*.exchange"))
    for path in damaged:
        path.unlink(missing_ok=True)
    return damaged


def _queue_fault(folder: Path, error: Exception) -> str:
    """What is wrong with DVC's queue and what to do."""
    if damaged := _damaged(path for path in folder.rglob("*") if path.is_file()):
        where = shlex.join(map(str, damaged))
        return (
            f"DVC's queue holds files that were cut short, as by a power cut: {where}. Remove them, and run the same "
            f"command again: what they belong to is queued anew. rm {where}"
        )
    return f"DVC's queue in {folder} cannot be read: {error!r}. dvc queue remove --all empties it"


def _damaged(files: Iterable[Path]) -> list[Path]:
    """Those of the queue's files that are no JSON."""
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
        PipelineError: DVC refuses; the message is its own.
    """
    sets = [part for change in changes for part in ("-S", change)]
    with out_of_reach_of_ctrl_c():
        _dvc("exp", "run", "--queue", "--name", name, *sets)


def start_workers(jobs: int, gpus: Sequence[str] = ()) -> None:
    """Let DVC work on its queue, ``jobs`` experiments at a time, in processes of its own.

    Args:
        jobs: experiments at a time.
        gpus: what each of the jobs sees, as CUDA_VISIBLE_DEVICES has it; with more jobs than that, they begin again
            with the first. Empty: all see the same.

    Raises:
        PipelineError: DVC's queue fails, or one of its workers does not begin.
    """
    if not gpus:
        _dvc("queue", "start", "--jobs", str(jobs))
        return
    for number in range(1, jobs + 1):
        # DVC starts those up to this number that are not there yet: one, when the earlier ones have begun.
        _dvc("queue", "start", "--jobs", str(number), CUDA_VISIBLE_DEVICES=gpus[(number - 1) % len(gpus)])
        _wait_for_worker(number)


def _wait_for_worker(number: int) -> None:
    begun = time.monotonic()
    with _dvcs_queue() as dvcs:
        while not any(name.endswith(f"-{number}@localhost") for name in _look(dvcs, dvcs.worker_status)):
            if time.monotonic() - begun > WORKER_TIMEOUT:
                raise PipelineError(f"worker {number} of DVC's queue has not begun after {WORKER_TIMEOUT:.0f} seconds")


def remove_tasks(names: Sequence[str]) -> None:
    """Remove failed or waiting tasks from the queue. Ctrl-C takes effect when they are removed."""
    if not names:
        return
    with out_of_reach_of_ctrl_c():
        _dvc("queue", "remove", *names)


def free_name(name: str, existing: Sequence[Experiment]) -> None:
    """Free a name: rename the experiment of it that the last commit has, which is kept as NAME-COMMIT."""
    for one in existing:
        if one.baseline == _head():
            _dvc("exp", "rename", name, f"{name}-{one.commit[:7]}")


def failure_message(name: str) -> str:
    """Why a task failed: the last lines of errors in its output ("error: …" or an exception), else its last lines."""
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
    """The last commit; not cached, as there may be a new one at any time."""
    return git("log", "--max-count=1", "--format=%H").strip()


def _dvc(*arguments: str, **variables: str) -> None:
    command = [sys.executable, "-m", "dvc", *arguments]
    for attempt in range(1, ATTEMPTS + 1):
        # Into a file: a pipe would be the queue's workers' as well, and stay open until the last of them has ended.
        with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
            returned = subprocess.call(command, env=os.environ | variables, stdout=subprocess.DEVNULL, stderr=file)
            file.seek(0)
            said = file.read().strip()
        if not returned:
            return
        if attempt == ATTEMPTS or not HALF_WRITTEN.search(said):
            raise PipelineError(f"dvc {' '.join(arguments[:3])}: {said}")
        with _dvcs_queue() as dvcs:
            _look(dvcs, dvcs.worker_status)
