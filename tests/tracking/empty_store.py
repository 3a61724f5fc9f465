"""An MLflow store without runs, copied: to make one takes MLflow more than a second."""

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow


def write_empty_store(project: Path) -> None:
    """The store of a project in which no stage has run yet."""
    (project / "mlflow.db").write_bytes(_database())


@cache
def _database() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder, "mlflow.db")
        mlflow.MlflowClient(f"sqlite:///{file}").search_experiments()
        with closing(sqlite3.connect(file)) as made:
            return made.serialize()
