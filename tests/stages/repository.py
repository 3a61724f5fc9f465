"""Repositories with this code and tiny parameters, in which the commands of users run."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.config import load as params

ROOT = Path(__file__).parents[2]
RAN = re.compile(r"^Running stage '(.+)'", re.MULTILINE)
OTHERS = ("AWS_", "DVC_", "GIT_", "MLFLOW_")
"""Prefixes of variables of whoever runs the tests, which must not reach the commands."""


def run(folder: Path, *command: str, variables: Mapping[str, str] | None = None) -> str:
    """Run a command of the project's own environment and return what it printed."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(OTHERS)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled files are part of a real checkout
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment |= variables or {}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}"
    return result.stdout + result.stderr


def tiny() -> dict[str, Any]:
    """The parameters of the demo, with networks and trainings that take seconds."""
    values = params.read(ROOT / "params.yaml")
    values["standins"]["scale"] = 0.05
    values["split"]["jaffe"] = {"protocol": "stratified", "test": 0.5}
    values["model"] |= {"projection_hidden": 16, "projection_dim": 8}
    values["pretrain"] |= {"epochs": 2, "warmup_epochs": 1, "batch_size": 16}
    values["prototypes"] |= {"epochs": 3, "batch_size": 16}
    values["adapt"] |= {"epochs": 2, "steps_per_epoch": 1, "batch_size": 8}
    values["evaluate"] |= {"bootstrap": 100, "tsne_samples": 20}
    return values


def make(folder: Path, values: Mapping[str, Any]) -> None:
    """A git repository in the new ``folder`` with this code and ``values`` as params.yaml; nothing is committed."""
    for name in ("pipeline", "stages", "params"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".dvc", "reports/studies"):  # without the studies of the demo
        (folder / name).mkdir(parents=True)
    for name in ("reports/studies/README.md", ".dvc/config", ".dvc/.gitignore", "dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "params.yaml").write_text(yaml.safe_dump(dict(values), sort_keys=False))
    run(folder, "git", "init", "--quiet")
    name_author(folder)


def name_author(folder: Path) -> None:
    """Let git commit in a new repository or clone."""
    run(folder, "git", "config", "user.name", "test")
    run(folder, "git", "config", "user.email", "test@example.org")


def commit(folder: Path) -> None:
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "state")
