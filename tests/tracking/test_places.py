"""Projects that are moved or copied with their MLflow store: files are read and written in the project itself."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import TrackingError
from pipeline.tracking import places

RUN, MODEL = "96d4", "m-49a8"


def write_store(project: Path, of: Path, location: str | None = None) -> Path:
    """A store in ``project`` whose places lead to ``of``, and the files of its run and its model in ``project``."""
    for folder in (project / "mlruns" / RUN / "artifacts", project / "mlruns/models" / MODEL / "artifacts"):
        folder.mkdir(parents=True)
    where = location or (of / "mlruns").as_uri()
    with closing(sqlite3.connect(project / "mlflow.db")) as store, store:
        for table, columns in {
            "experiments": "artifact_location",
            "runs": "run_uuid, artifact_uri",
            "logged_models": "artifact_location",
            "model_versions": "source, storage_location",
        }.items():
            store.execute(f"CREATE TABLE {table} ({columns})")
        store.execute("INSERT INTO experiments VALUES (?), (?)", (f"{of}/mlruns/0", where))
        store.execute("INSERT INTO runs VALUES (?, ?)", (RUN, f"{where}/{RUN}/artifacts"))
        store.execute("INSERT INTO logged_models VALUES (?)", (f"{where}/models/{MODEL}/artifacts",))
        store.execute(
            "INSERT INTO model_versions VALUES (?, ?)", (f"models:/{MODEL}", f"{where}/models/{MODEL}/artifacts")
        )
    return project / "mlflow.db"


def held(database: Path) -> list[str]:
    """All places in a store."""
    with closing(sqlite3.connect(database)) as store:
        return [
            row[0]
            for table, column in places.PLACES
            for row in store.execute(f"SELECT {column} FROM {table}").fetchall()
        ]


@pytest.mark.parametrize("name", ["project", "with space and ü", "100%_'quoted'"])
def test_a_moved_projects_places_lead_to_where_it_is(name: str, tmp_path: Path) -> None:
    before, here = tmp_path / name, tmp_path / f"moved {name}"
    database = write_store(here, before)
    places.mend(database)
    uri = (here / "mlruns").as_uri()
    model = f"{uri}/models/{MODEL}/artifacts"
    assert held(database) == [f"{here}/mlruns/0", uri, f"{uri}/{RUN}/artifacts", model, f"models:/{MODEL}", model]


def test_a_copy_does_not_write_into_the_original(tmp_path: Path) -> None:
    original, copy = tmp_path / "original", tmp_path / "original-2"
    first, second = write_store(original, original), write_store(copy, original)
    kept = held(first)
    for database in (first, second):
        places.mend(database)
    assert held(first) == kept
    assert all(f"{copy}/mlruns" in place for place in held(second) if not place.startswith("models:"))


@pytest.mark.parametrize("location", ["s3://bucket/mlruns", "mlflow-artifacts:/1", "CHOSEN", "AWAY"])
def test_places_that_somebody_chose_stay(location: str, tmp_path: Path) -> None:
    here, disk = tmp_path / "project", tmp_path / "disk"
    disk.mkdir()
    if location == "CHOSEN":
        (disk / "mlruns").mkdir()
    chosen = (disk / "mlruns").as_uri() if location.isupper() else location
    database = write_store(here, here, chosen)
    (here / "mlruns" / RUN).rename(tmp_path / RUN)
    before = held(database)
    places.mend(database)
    assert held(database) == before


def test_a_second_path_of_the_same_project_is_no_other_place(tmp_path: Path) -> None:
    here, link = tmp_path / "project", tmp_path / "link"
    database = write_store(here, link)
    link.symlink_to(here)
    before = held(database)
    places.mend(database)
    assert held(database) == before


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = write_store(tmp_path / "here", tmp_path / "there")

    def refuse(*_: object) -> None:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(places, "_lead", refuse)
    with pytest.raises(TrackingError, match=r"mlflow\.db: the project was moved or copied here from .*there, and its"):
        places.mend(database)


def test_no_store_and_what_is_none_are_left_to_others(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    places.mend(database)
    assert not database.exists()
    for content in (b"", b"no database at all, but long enough to be one"):
        database.write_bytes(content)
        places.mend(database)
        assert database.read_bytes() == content
