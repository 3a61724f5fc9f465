"""Which execution of the pipeline this process belongs to: the link between a row of ``dvc exp show`` and its runs."""

import os
import platform
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

from pipeline.git import GitError, git, under_git

BOOT = Path("/proc/sys/kernel/random/boot_id")
"""What Linux calls the time since it started: no two machines, nor two starts of one, have the same."""


@dataclass(frozen=True)
class Execution:
    """One execution of the pipeline.

    Attributes:
        group: a name for people: the DVC experiment's, or the start of the ``dvc repro`` that runs the stages.
        process: tells executions apart, also those of one experiment's name: the process that runs the stages.
        experiment: the name in ``dvc exp show``; None outside of ``dvc exp run``.
        revision: the git commit it started from (the experiment's baseline); None outside of git.
        dirty: the code differed from that commit; None: unknown.
        unknown: why commit or changes are unknown although the project is in a repository, in git's words; None: they
            are known, or there is no repository.
    """

    group: str
    process: str
    experiment: str | None
    revision: str | None
    dirty: bool | None
    unknown: str | None = None


def current() -> Execution:
    """The execution of this process, from the variables and the process that DVC runs a stage with."""
    experiment = os.environ.get("DVC_EXP_NAME") or None
    revision, dirty, unknown = os.environ.get("DVC_EXP_BASELINE_REV"), None, None
    try:
        revision = revision or git("log", "--max-count=1", "--format=%H").strip()
        # Parameters are logged themselves, and stages rewrite the reports that git tracks: neither makes the code
        # dirty.
        dirty = bool(git("status", "--porcelain", "--", "pipeline", "stages", "dvc.yaml"))
    except GitError as error:
        unknown = str(error) if under_git() else None
    runner, name = _runner()
    started = f"{datetime.fromtimestamp(runner.create_time()):%Y-%m-%d %H:%M:%S}"
    return Execution(experiment or f"{name} {started}", _identity(runner), experiment, revision, dirty, unknown)


def store_root() -> Path:
    """The folder of the project whose MLflow store is used.

    ``dvc exp run --temp`` and ``--queue`` execute in a copy below ``.dvc/tmp``, which is deleted afterwards: their
    runs belong in the store of the project around it.
    """
    here = Path.cwd().resolve()
    for folder in here.parents:
        if folder.name == "tmp" and folder.parent.name == ".dvc":
            return folder.parent.parent
    return here


def _runner() -> tuple[psutil.Process, str]:
    """The process that runs all stages of this execution: dvc, or this one when a stage is run by hand."""
    process = psutil.Process()
    for ancestor in process.parents():
        try:
            command = ancestor.cmdline()
        except psutil.Error:  # it ended, or belongs to another user: then it is not our dvc
            continue
        if any(Path(word).name == "dvc" for word in command[:3]) or command[1:3] == ["-m", "dvc"]:
            return ancestor, "repro"
    return process, "by hand"


def _identity(process: psutil.Process) -> str:
    """A text that all stages of an execution share, and no other execution on any machine that uses the same store.

    The time at which the process started would not do: it differs by stage where the clock is adjusted meanwhile.
    """
    stat = Path(f"/proc/{process.pid}/stat")
    if stat.is_file() and BOOT.is_file():
        ticks_since_boot = stat.read_text("utf-8", "replace").rpartition(")")[2].split()[19]
        return f"{process.pid}-{ticks_since_boot}-{BOOT.read_text().strip()}"
    return f"{process.pid}-{process.create_time():.0f}-{platform.node()}"
