"""Which execution of the pipeline this process belongs to: the link between a row of ``dvc exp show`` and its runs."""

import os
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Execution:
    """One execution of the pipeline.

    group: shared by all its stages: the DVC experiment's name, or the start of the ``dvc repro`` that runs them.
    experiment: the name in ``dvc exp show``, None outside of ``dvc exp run``. revision: the git commit it started
    from (the experiment's baseline), None outside of git. dirty: tracked files differed from that commit.
    """

    group: str
    experiment: str | None
    revision: str | None
    dirty: bool


def current() -> Execution:
    """The execution of this process, from the variables and the process that DVC runs a stage with."""
    experiment = os.environ.get("DVC_EXP_NAME") or None
    revision = os.environ.get("DVC_EXP_BASELINE_REV") or _git("rev-parse", "HEAD")
    dirty = bool(_git("status", "--porcelain", "--untracked-files=no"))
    return Execution(experiment or _group_of_process(), experiment, revision, dirty)


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


def _group_of_process() -> str:
    """All stages of one ``dvc repro`` are children of one process; a stage run by hand is its own execution."""
    process = psutil.Process()
    for ancestor in process.parents():
        try:
            command = ancestor.cmdline()
        except psutil.Error:  # it ended, or belongs to another user: then it is not our dvc
            continue
        if any(Path(word).name == "dvc" for word in command[:3]) or command[1:3] == ["-m", "dvc"]:
            process, name = ancestor, "repro"
            break
    else:
        name = "by-hand"
    return f"{name}-{datetime.fromtimestamp(process.create_time()):%Y-%m-%d-%H%M%S}"


def _git(*arguments: str) -> str | None:
    """Output of a git command, None where there is no git or no repository."""
    try:
        result = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()
