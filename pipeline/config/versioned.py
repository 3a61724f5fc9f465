"""Which inputs experiments in copies of the project would miss: those that neither DVC nor git knows."""

import subprocess
from pathlib import Path

from pipeline.config.preflight import will_be_drawn
from pipeline.config.schema import Params


def unversioned(params: Params) -> list[str]:
    """Paths of sets and weights that are given relative to the project, and are under no version control.

    ``dvc exp run --temp`` and ``--queue`` work in copies of what DVC and git know. A set that is drawn is drawn there
    too, and an absolute path leads out of the copy. Outside of a git repository there are no experiments.
    """
    root = Path(params.data.root)
    sets = [root / name for name in (*params.data.sets, *params.data.folder_sets) if not will_be_drawn(params, name)]
    weights = [Path(params.model.weights_file)] if params.model.weights_file else []
    return [
        str(path) for path in (*sets, *weights) if not path.is_absolute() and not _by_dvc(path) and _not_by_git(path)
    ]


def _by_dvc(path: Path) -> bool:
    """Whether ``dvc add`` was called for it, or for a folder above it."""
    return any(place.with_name(f"{place.name}.dvc").is_file() for place in (path, *path.parents) if place.name)


def _not_by_git(path: Path) -> bool:
    """Whether there is a git repository, and no file of ``path`` is in it."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--", str(path)], capture_output=True, text=True, check=True, encoding="utf-8"
        )
    except (OSError, subprocess.CalledProcessError):
        return False
    return not listed.stdout
