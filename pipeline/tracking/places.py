"""Repair of the artifact paths in the project's own MLflow store after the project was moved or copied.

MLflow stores an absolute path for every run and model. After a move these paths do not exist; in a copy they are the
original's, which the copy would read and write.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.errors import TrackingError

FILES = "mlruns"
"""The folder of the artifacts in the project; MLflow's default."""

PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Tables and columns of the store that contain paths."""


def mend(database: Path) -> None:
    """Replace the project's former path by its current one in its own store.

    Artifact locations that the user has chosen, such as a bucket or another folder, are not changed.

    Args:
        database: the store in the project; if it does not exist or is faulty, nothing is done.

    Raises:
        TrackingError: paths must be changed, and the store cannot be written.
    """
    if not database.is_file():
        return
    project = database.parent
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as store:
            left = [place for place in _foreign(store, project) if _is_left(place, store, database)]
    except sqlite3.DatabaseError:  # ``database.find_fault`` reports it when the store is used
        return
    if not left:
        return
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True)) as store, store:
            for place in left:
                _lead(store, place / FILES, project / FILES)
    except sqlite3.DatabaseError as error:
        raise TrackingError(
            f"{database}: the project was moved or copied here from {left[0]}, and its store cannot be written to note "
            f"that ({error}). Make it writable, or let its owner run the same command once"
        ) from error


def _foreign(store: sqlite3.Connection, project: Path) -> list[Path]:
    """Return the other project folders whose ``FILES`` contain artifacts of the store's experiments."""
    found: dict[Path, None] = {}
    for (location,) in store.execute("SELECT DISTINCT artifact_location FROM experiments"):
        for folder in _folders(location):
            if folder.name == FILES and not _same(folder.parent, project):
                found[folder.parent] = None
    return list(found)


def _folders(location: str | None) -> Iterator[Path]:
    """Yield a local path and its parent: by default MLflow uses a sub-folder for each experiment."""
    parts = urlsplit(location or "")
    if parts.path and (not parts.scheme or (parts.scheme == "file" and parts.netloc in ("", "localhost"))):
        path = Path(unquote(parts.path) if parts.scheme else parts.path)
        yield from (path, path.parent)


def _is_left(place: Path, store: sqlite3.Connection, database: Path) -> bool:
    """Return whether the project was once at ``place``; otherwise the user has chosen ``place/FILES``."""
    if os.path.isfile(place / database.name):  # noqa: PTH113 - Path.is_file raises where it may not be looked into
        return True  # this project is a copy of that one
    if os.path.isdir(place / FILES):  # noqa: PTH112
        return False
    # A chosen folder's disk may only be unmounted. So the project has moved only if the artifacts are here, or if
    # ``place`` itself does not exist.
    here = database.parent / FILES
    runs = (run for (run,) in store.execute("SELECT run_uuid FROM runs"))
    return not os.path.isdir(place) or any((here / run).is_dir() for run in runs)  # noqa: PTH112


def _lead(store: sqlite3.Connection, old: Path, new: Path) -> None:
    """Replace ``old`` by ``new`` at the beginning of every stored path and URI."""
    for before, after in ((old.as_uri(), new.as_uri()), (str(old), str(new))):
        for table, column in PLACES:
            store.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                (after, len(before) + 1, before, len(before) + 1, f"{before}/"),
            )


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)  # noqa: PTH121
    except OSError:
        return one == other
