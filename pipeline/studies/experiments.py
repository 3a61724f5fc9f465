"""DVC's experiments and its queue, as a study needs them: what is there, what waits, what failed."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from pipeline.errors import PipelineError

CODE = ("pipeline", "stages", "dvc.yaml")
"""Where the code is that an experiment takes from the last commit."""

WORKER_TIMEOUT = 60.0
"""Seconds within which a worker of DVC's queue must answer."""


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
        """The content of a file that git keeps of it; None: it has no such file."""
        result = _git("show", f"{self.commit}:{path}")
        return result.stdout if result.returncode == 0 else None

    def has(self, paths: Iterable[Path]) -> bool:
        """Whether files and folders are the same in it and in the last commit."""
        then, now = tracked_objects(self.commit), tracked_objects(_head())
        return all(then.get(path.as_posix()) == now.get(path.as_posix()) for path in paths)

    def revision(self) -> str:
        """The commit that it was started from, abbreviated."""
        return _git("rev-parse", "--short", self.baseline).stdout.strip()


def finished() -> dict[str, list[Experiment]]:
    """All experiments of this repository by name, the newest first: each commit may have one of a name.

    Raises:
        PipelineError: this folder is in no git repository.
    """
    listed = _git("for-each-ref", "--sort=-committerdate", "--format=%(refname) %(objectname)", "refs/exps")
    if listed.returncode:
        raise PipelineError(f"studies are kept as DVC experiments, which need git: {listed.stderr.strip()}")
    found: dict[str, list[Experiment]] = {}
    for line in listed.stdout.splitlines():
        reference, commit = line.split()
        parts = reference.split("/")
        if len(parts) == 5:  # refs/exps/12/3456…/NAME; others are DVC's own
            found.setdefault(parts[-1], []).append(Experiment(parts[-1], commit, parts[2] + parts[3]))
    return found


@cache
def tracked_objects(commit: str) -> dict[str, str]:
    """Git's object id of every file and folder of code at a commit, by path."""
    listed = _git("ls-tree", "-r", "-t", "--full-tree", commit, *CODE).stdout.splitlines()
    return {path: entry.split()[2] for entry, path in (line.split("\t", 1) for line in listed)}


def uncommitted() -> list[str]:
    """Changed files of code and params.yaml: experiments start from the last commit."""
    return [line[3:] for line in _git("status", "--porcelain", "--", *CODE, "params.yaml").stdout.splitlines()]


def queue() -> dict[str, str]:
    """The state of every task in DVC's queue, by the experiment's name.

    Returns:
        Queued, Running, Failed, Success, or Lost: DVC takes it for running, for ever, but no worker has it and no
        process works on it, as after a power cut.
    """
    from dvc.repo import Repo

    with Repo() as repo:
        # The latest of a name counts: a failed one may have been queued again.
        tasks = sorted(repo.experiments.celery_queue.status(), key=lambda task: task["timestamp"])
        lost = _lost([task["rev"] for task in tasks if task["status"] == "Running"], repo.experiments.celery_queue)
    return {task["name"]: "Lost" if task["rev"] in lost else task["status"] for task in tasks if task["name"]}


def _lost(running: Sequence[str], dvcs: Any) -> set[str]:
    """Those of the running tasks, by revision, that neither a worker of DVC's queue nor a process works on."""
    if not running:
        return set()
    theirs = {task["args"][0]["stash_rev"] for tasks in dvcs.worker_status().values() for task in tasks}
    commands = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return {rev for rev in running if rev not in theirs and not any(rev in command for command in commands)}


def mark_failed(names: Sequence[str]) -> None:
    """Mark lost tasks as failed, so that DVC can remove them."""
    if not names:
        return
    from dvc.repo import Repo

    with Repo() as repo:
        celery = repo.experiments.celery_queue.celery
        for message in celery.iter_processed():
            task = message.headers["id"]
            if message.decode()[0][0]["name"] in names and not celery.AsyncResult(task).ready():
                celery.backend.mark_as_failure(task, None)


def enqueue(name: str, changes: Sequence[str]) -> None:
    """Queue an experiment.

    Raises:
        PipelineError: DVC refuses; the message is its own.
    """
    sets = [part for change in changes for part in ("-S", change)]
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
    from dvc.repo import Repo

    begun = time.monotonic()
    with Repo() as repo:
        while not any(name.endswith(f"-{number}@localhost") for name in repo.experiments.celery_queue.worker_status()):
            if time.monotonic() - begun > WORKER_TIMEOUT:
                raise PipelineError(f"worker {number} of DVC's queue has not begun after {WORKER_TIMEOUT:.0f} seconds")


def remove_tasks(names: Sequence[str]) -> None:
    """Remove failed or waiting tasks from the queue."""
    if names:
        _dvc("queue", "remove", *names)


def free_name(name: str, existing: Sequence[Experiment]) -> None:
    """Free a name: rename the experiment of it that the last commit has, which is kept as NAME-COMMIT."""
    for one in existing:
        if one.baseline == _head():
            _dvc("exp", "rename", name, f"{name}-{one.commit[:7]}")


def failure_message(name: str) -> str:
    """Why a task failed: the last lines of errors in its output ("error: …" or an exception), else its last lines."""
    result = subprocess.run(
        [sys.executable, "-m", "dvc", "queue", "logs", name], capture_output=True, text=True, check=False
    )
    said = [line.strip() for line in result.stdout.replace("\r", "\n").splitlines() if line.strip()]
    own = [line for line in said if re.match(r"error: |[A-Za-z.]+Error: ", line)]
    return "\n".join((own or said)[-3:])


def _head() -> str:
    """The last commit; not cached, as there may be a new one at any time."""
    return _git("rev-parse", "HEAD").stdout.strip()


def _dvc(*arguments: str, **variables: str) -> None:
    command = [sys.executable, "-m", "dvc", *arguments]
    # Into a file: a pipe would be the queue's workers' as well, and stay open until the last of them has ended.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        returned = subprocess.call(command, env=os.environ | variables, stdout=subprocess.DEVNULL, stderr=said)
        said.seek(0)
        if returned:
            raise PipelineError(f"dvc {' '.join(arguments[:3])}: {said.read().strip()}")


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
