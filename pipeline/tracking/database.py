"""The state of an MLflow store in a SQLite file: complete, half created, damaged or of another version."""

import shlex
import sqlite3
import time
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.progress import say

UNCHANGED = 3.0
"""Seconds without a change after which no process is creating the store any more; it writes many times a second."""

SIDE_FILES = "-journal", "-wal", "-shm"
"""Suffixes of the files with changes that SQLite has not yet written to the database."""


def find_fault(database: Path) -> str | None:
    """Return what is wrong with the store and what to do; None if it is complete, or cannot be read at the moment."""
    move = f"or move it away, and the next stage makes a new one: {_move(database)}"
    try:
        revision, runs = _look(database)
    except sqlite3.OperationalError:  # locked or not readable, which says nothing about its content
        return None
    except sqlite3.DatabaseError as error:
        return f"{database} is damaged, or is no database ({error}). Put a backup in its place; {move}"
    newest, known = _revisions()
    if revision == newest:
        return None
    if not runs:
        return (
            f"{database} is half made: the process that made it was ended, or two made it at once (or another version "
            f"of MLflow made it). It holds no runs. Make it anew: remove it, {move}"
        )
    if revision in known:
        path = shlex.quote(str(database))
        return (
            f"{database} holds {runs} runs of an older version of MLflow. Keep a copy and bring it up to date: "
            f"cp {path} {path}.backup && mlflow db upgrade {shlex.quote(f'sqlite:///{database}')}\n"
            f"Where that fails, an upgrade was broken off: put the copy of before it in its place; {move}"
        )
    return (
        f"{database} holds {runs} runs and a schema ({revision}) that this version of MLflow does not know: a newer "
        f"one made it. Install that; {move}"
    )


def wait_for_maker(database: Path) -> None:
    """Wait while another program, such as ``mlflow ui``, creates the store: two at once would corrupt it."""
    said = False
    while database.is_file() and _in_the_making(database):
        if not said:
            say(f"{database} is not complete; waiting as long as another program is making it")
            said = True
        before = _state(database)
        time.sleep(UNCHANGED)
        if _state(database) == before:
            return


def remove_side_files(database: Path) -> None:
    """Delete SQLite's side files of a deleted database, which it would apply to the next one of that name."""
    for ending in SIDE_FILES:
        database.with_name(f"{database.name}{ending}").unlink(missing_ok=True)


def _look(database: Path) -> tuple[str | None, int]:
    """Return the version of the schema (None if there is none) and the number of runs."""
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        revision = (
            _value(connection, "SELECT version_num FROM alembic_version") if "alembic_version" in tables else None
        )
        runs = _value(connection, "SELECT COUNT(*) FROM runs") if "runs" in tables else 0
    return revision, runs


def _in_the_making(database: Path) -> bool:
    """Return whether another program may be creating the store: it is incomplete and has no runs."""
    try:
        revision, runs = _look(database)
    except sqlite3.DatabaseError:
        return False
    return not runs and revision != _revisions()[0]


def _value(connection: sqlite3.Connection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    return row[0] if row else None


def _revisions() -> tuple[str | None, set[str]]:
    """Return the newest version of the schema that the installed MLflow knows, and all versions."""
    from alembic.script import ScriptDirectory  # takes half a second, and is rarely needed

    package = find_spec("mlflow")
    assert package is not None
    assert package.submodule_search_locations is not None
    scripts = ScriptDirectory(str(Path(package.submodule_search_locations[0], "store", "db_migrations")))
    return scripts.get_current_head(), {script.revision for script in scripts.walk_revisions()}


def _state(database: Path) -> tuple[int, int]:
    status = database.stat()
    return status.st_mtime_ns, status.st_size


def _move(database: Path) -> str:
    """Return the shell command that moves a store and its side files away."""
    aside = shlex.quote(str(database.with_name(f"{database.stem}-aside")))
    return f"mkdir -p {aside} && mv {shlex.quote(str(database))}* {aside}"
