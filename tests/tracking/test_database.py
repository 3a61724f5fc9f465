"""A store that is half made, damaged or of another version is recognised, and named with the way out."""

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
from alembic.script import ScriptDirectory

from pipeline.errors import TrackingError
from pipeline.tracking import database, models
from pipeline.tracking.database import find_fault, wait_for_maker
from pipeline.tracking.store import connect

MIGRATIONS = Path(mlflow.__file__).parent / "store/db_migrations"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one run."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    client = mlflow.MlflowClient(f"sqlite:///{path}")
    client.create_run(client.create_experiment("pocan"))
    return path


@pytest.fixture
def store(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of it where a stage looks for its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(database, "UNCHANGED", 0.5)
    yield Path(shutil.copy(whole, tmp_path / "mlflow.db"))
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def revision(back: int) -> str:
    """The version of the schema that many versions ago."""
    return [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()][back]


def half_make(path: Path) -> None:
    """As a process leaves it that is ended between two migrations of which the second was begun."""
    change(path, "DELETE FROM runs", f"UPDATE alembic_version SET version_num = '{revision(8)}'", "DROP TABLE spans")


def test_a_whole_store_has_no_fault(store: Path) -> None:
    assert find_fault(store) is None
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")  # another process writes: no fault of the store
        assert find_fault(store) is None


def test_a_half_made_store_is_named_and_the_way_out_works(store: Path) -> None:
    half_make(store)
    with pytest.raises(TrackingError, match=r"mlflow\.db is half made: .*It holds no runs") as caught:
        connect("pocan")
    assert "Nothing was trained" in str(caught.value)
    with pytest.raises(TrackingError, match=r"models:/pocan@newest: .*mlflow\.db is half made"):
        models.open_model("models:/pocan@newest")
    store.with_name("mlflow.db-journal").touch()
    command = str(caught.value).splitlines()[0].partition("makes a new one: ")[2]
    subprocess.run(command, shell=True, check=True)
    assert not list(store.parent.glob("mlflow.db*"))  # as in a new project
    assert store.with_name("mlflow-aside").joinpath("mlflow.db").is_file()


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (
            ["UPDATE alembic_version SET version_num = 'OLD'"],
            r"holds 1 runs of an older version .*&& mlflow db upgrade",
        ),
        (["UPDATE alembic_version SET version_num = 'f00'"], r"holds 1 runs and a schema \(f00\) that .*a newer one"),
        (["DROP TABLE alembic_version"], r"holds 1 runs and a schema \(None\)"),
        (["DROP TABLE alembic_version", "DELETE FROM runs"], "is half made"),
    ],
)
def test_other_versions(store: Path, statements: list[str], message: str) -> None:
    change(store, *(statement.replace("OLD", revision(1)) for statement in statements))
    with pytest.raises(TrackingError, match=message):
        connect("pocan")


def test_what_brings_an_older_store_up_to_date_keeps_a_copy_first(store: Path) -> None:
    """MLflow's own command is not run here: of a store of today's version no older one can be made."""
    change(store, f"UPDATE alembic_version SET version_num = '{revision(1)}'")
    message = find_fault(store)
    assert message is not None
    command = message.partition("bring it up to date: ")[2].splitlines()[0]
    copy, _, upgrade = command.partition(" && ")
    subprocess.run(copy, shell=True, check=True)
    assert store.with_name("mlflow.db.backup").read_bytes() == store.read_bytes()
    assert upgrade == f"mlflow db upgrade sqlite:///{store}"


@pytest.mark.parametrize("size", [20, 200_000])
def test_what_is_no_database_or_was_cut_short(store: Path, size: int) -> None:
    content = b"this is no database" * 10 if size == 20 else store.read_bytes()[:size]
    store.write_bytes(content)
    with pytest.raises(TrackingError, match=r"mlflow\.db is damaged, or is no database \(.*\)\. Put a backup"):
        connect("pocan")
    assert store.read_bytes() == content


def test_a_store_that_another_program_is_making_is_waited_for(
    store: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half_make(store)

    def make() -> None:
        for index in range(6):  # each write is seen as work that goes on
            time.sleep(0.2)
            change(store, f"CREATE TABLE step_{index} (id INTEGER)")
        shutil.copy(whole, store)

    maker = threading.Thread(target=make)
    maker.start()
    wait_for_maker(store)
    maker.join()
    assert find_fault(store) is None
    assert capsys.readouterr().err.count("is not complete; waiting as long as another program is making it") == 1


def test_a_store_that_nobody_is_making_is_not_waited_for(store: Path) -> None:
    half_make(store)
    began = time.monotonic()
    wait_for_maker(store)
    assert time.monotonic() - began < 20


@pytest.mark.slow
def test_what_sqlite_left_of_an_older_store_does_not_reach_a_new_one(store: Path) -> None:
    store.unlink()
    program = (  # is killed when a transaction has reached the disk in part
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('CREATE TABLE pages (content BLOB)')\n"
        "count = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)'\n"
        "c.execute(f'INSERT INTO pages {count} SELECT zeroblob(4000) FROM n')\n"
        "c.execute('PRAGMA cache_size = 1')\n"
        "c.execute('BEGIN')\n"
        "c.execute('ALTER TABLE pages ADD COLUMN more')\n"
        "c.execute('UPDATE pages SET content = randomblob(4000)')\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(store)], check=True)
    journal = store.with_name("mlflow.db-journal")
    assert journal.stat().st_size > 0
    store.unlink()
    connect("pocan")
    with closing(sqlite3.connect(store)) as new:
        assert new.execute("SELECT name FROM sqlite_master WHERE name = 'pages'").fetchall() == []
    assert find_fault(store) is None
