"""Repositories of their own with this code, and the commands that are run in them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(folder: Path, *command: str) -> str:
    """Run a command of the project's own environment and return what it printed."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_", "GIT_"))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled files are part of a real checkout
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}"
    return result.stdout + result.stderr


def copy_code(folder: Path) -> None:
    """All that the stages need but params.yaml, and a git repository without a commit around it."""
    for name in ("pipeline", "stages", "params", ".dvc/config"):
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    run(folder, "git", "init", "--quiet")
    name_author(folder)


def name_author(folder: Path) -> None:
    """Let git commit in a new repository or clone."""
    run(folder, "git", "config", "user.name", "test")
    run(folder, "git", "config", "user.email", "test@example.org")


def commit(folder: Path) -> None:
    """Commit everything that git does not ignore."""
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "state")
