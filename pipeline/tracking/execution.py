"""The execution of the pipeline that this process belongs to; it links a row of ``dvc exp show`` to its MLflow runs."""

import os
import platform
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

from pipeline.git import GitError, git, under_git

BOOT = Path("/proc/sys/kernel/random/boot_id")
"""Linux's boot ID, which is different on every machine and after every start."""


@dataclass(frozen=True)
class Execution:
    """One execution of the pipeline.

    Attributes:
        group: a readable name: the DVC experiment, or the start time of ``dvc repro``.
        process: unique ID of the process that runs the stages; experiments of the same name have different ones.
        experiment: name in ``dvc exp show``; None outside of ``dvc exp run``.
        revision: git commit at the start (the experiment's baseline); None outside of git.
        dirty: whether the code differed from that commit; None: unknown.
        unknown: git's message, if commit or changes are unknown although there is a repository; else None.
    """

    group: str
    process: str
    experiment: str | None
    revision: str | None
    dirty: bool | None
    unknown: str | None = None


def current() -> Execution:
    """Return the execution of this process, from DVC's environment variables and parent processes."""
    experiment = os.environ.get("DVC_EXP_NAME") or None
    revision, dirty, unknown = os.environ.get("DVC_EXP_BASELINE_REV"), None, None
    try:
        revision = revision or git("log", "--max-count=1", "--format=%H").strip()
        # Only code counts: parameters are logged separately, and stages rewrite reports that git tracks.
        dirty = bool(git("status", "--porcelain", "--", "pipeline", "stages", "dvc.yaml"))
    except GitError as error:
        unknown = str(error) if under_git() else None
    runner, name = _runner()
    started = f"{datetime.fromtimestamp(runner.create_time()):%Y-%m-%d %H:%M:%S}"
    return Execution(experiment or f"{name} {started}", _identity(runner), experiment, revision, dirty, unknown)


def store_root() -> Path:
    """Return the folder of the project whose MLflow store is used.

    ``dvc exp run --temp`` and ``--queue`` run in a copy below ``.dvc/tmp`` that is deleted afterwards. Their runs
    belong in the store of the original project.
    """
    here = Path.cwd().resolve()
    for folder in here.parents:
        if folder.name == "tmp" and folder.parent.name == ".dvc":
            return folder.parent.parent
    return here


def _runner() -> tuple[psutil.Process, str]:
    """Return the process that runs all stages of this execution: dvc, or this one if a stage is run by hand."""
    process = psutil.Process()
    for ancestor in process.parents():
        try:
            command = ancestor.cmdline()
        except psutil.Error:  # it has ended or belongs to another user, so it is not our dvc
            continue
        if any(Path(word).name == "dvc" for word in command[:3]) or command[1:3] == ["-m", "dvc"]:
            return ancestor, "repro"
    return process, "by hand"


def _identity(process: psutil.Process) -> str:
    """Return an ID of the process that is unique over all machines that use the same store.

    The start time in seconds is not reliable: it changes if the clock is adjusted between stages.
    """
    stat = Path(f"/proc/{process.pid}/stat")
    if stat.is_file() and BOOT.is_file():
        ticks_since_boot = stat.read_text("utf-8", "replace").rpartition(")")[2].split()[19]
        return f"{process.pid}-{ticks_since_boot}-{BOOT.read_text().strip()}"
    return f"{process.pid}-{process.create_time():.0f}-{platform.node()}"
