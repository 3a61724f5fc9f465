"""What is passed on of errors of MLflow's database, and what is not logged beside them."""

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import mlflow
import pytest
import sqlalchemy
from sqlalchemy.exc import OperationalError

from pipeline.errors import TrackingError
from pipeline.tracking.store import DATABASE, choose, connect, short_message, store_fault


def test_an_error_of_the_database_is_reported_without_its_statement() -> None:
    with sqlalchemy.create_engine("sqlite://").connect() as connection, pytest.raises(OperationalError) as raised:
        connection.execute(sqlalchemy.text("INSERT INTO runs VALUES (:key)"), {"key": "x" * 5000})
    assert "[SQL:" in str(raised.value)
    assert short_message(raised.value) == "(sqlite3.OperationalError) no such table: runs"


def test_what_is_reported_is_not_logged_with_a_traceback_before() -> None:
    assert DATABASE
    assert not logging.getLogger("mlflow.store.db.utils").isEnabledFor(logging.CRITICAL)


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No store is chosen, neither before nor after."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    yield
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.mark.slow
@pytest.mark.usefixtures("unset")
def test_the_store_and_its_files_lie_in_the_project_whatever_that_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "a b%zz #d=f;g&h ü"
    odd.mkdir()
    monkeypatch.chdir(odd)
    with mlflow.start_run(experiment_id=connect("odd")) as run:
        mlflow.log_text("content", "below/a.txt")
    assert (odd / "mlruns" / run.info.run_id / "artifacts/below/a.txt").read_text() == "content"
    assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/below/a.txt") == "content"
    assert {path.name for path in odd.iterdir()} == {DATABASE, f"{DATABASE}.lock", "mlruns"}
    assert [path.name for path in tmp_path.iterdir()] == [odd.name]


@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize("name", ["a%20b", "a?b"])
def test_a_folder_that_addresses_cannot_name_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / name
    odd.mkdir()
    monkeypatch.chdir(odd)
    with pytest.raises(TrackingError, match=rf"^{re.escape(str(odd))}: MLflow finds no store in a folder whose path"):
        connect("odd")
    assert list(odd.iterdir()) == []
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/{DATABASE}")
    assert not choose()


@pytest.mark.slow
@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize("written", ["a%20b", "größer", "a%2525b"])
def test_an_address_of_a_users_own_store_is_read_as_the_driver_reads_it(
    written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / unquote(written)
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/{written}/own.db")
    connect("own")
    assert (folder / "own.db").is_file()  # where the driver has it
    assert store_fault() is None
    (folder / "own.db").write_bytes(b"no database" * 100)
    assert str(folder / "own.db") in (store_fault() or "")
