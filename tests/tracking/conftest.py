"""What tests with a server of their own share; a module says with its fixture ``server`` which one that is."""

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from pipeline.config.load import load
from pipeline.config.schema import Params
from tests.tracking.servers import Server

ROOT = Path(__file__).parents[2]


@pytest.fixture
def settings(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Params]:
    """The project's parameters, in an empty folder, with the server as the store."""
    settings = load(ROOT / "params.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    mlflow.set_tracking_uri(server.uri)
    yield settings
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
