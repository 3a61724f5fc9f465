"""An MLflow server that is killed in training: reported within seconds, training goes on, nothing is lost."""

import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from pipeline.config.schema import Params
from pipeline.errors import TrackingError
from pipeline.tracking import models, offline_queue, runs
from pocan.cli import app
from tests.models import ADAPTED, small
from tests.stores import flat, write_store
from tests.tracking.servers import Server

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


def unsent() -> list[Path]:
    return sorted(Path(offline_queue.UNSENT).glob("*/*.json"))


def test_a_server_that_comes_back_in_training_has_all_of_it_in_order(
    settings: Params, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    with runs.stage_run(settings, "adapt", "ckplus") as run:
        run.log({"loss": 4.0}, 1)
        server.kill()
        began = time.monotonic()
        run.log({"loss": 3.0}, 2)
        run.log({"loss": 2.0}, 3)
        assert time.monotonic() - began < 5
        assert f"{server.uri} does not answer since" in (output := capsys.readouterr().err)
        assert "Connection refused" in output
        assert [path.name for path in unsent()] == ["000001.json", "000002.json", "run.json"]
        before = time.time_ns() // 1_000_000
        server.start()
        run.log({"loss": 1.0}, 4)
        assert "is back: 3 entries that waited are logged" in capsys.readouterr().err
        run.log({"loss": 0.5}, 5)
    history = mlflow.MlflowClient().get_metric_history(run.id, "loss")
    assert [(metric.step, metric.value) for metric in history] == [(1, 4.0), (2, 3.0), (3, 2.0), (4, 1.0), (5, 0.5)]
    assert [metric.timestamp < before for metric in history] == [True, True, True, False, False]
    assert mlflow.get_run(run.id).info.status == "FINISHED"
    assert not Path(offline_queue.UNSENT, run.id).exists()


def require_model(run_id: str, network: nn.Module) -> None:
    """The run has the network, and it is the registered one that was trained last."""
    images = torch.zeros(1, 3, 112, 112)
    with torch.no_grad():
        for where in (f"models:/pocan-ckplus@{offline_queue.ALIAS}", f"runs:/{run_id}/model"):
            opened = models.open_model(where).model
            np.testing.assert_array_equal(opened(images).numpy(), network(images).numpy())


def require_refused(settings: Params, server: Server, run_id: str) -> None:
    """While the server is away every stage is refused before it trains anything, and what is kept stays."""
    with pytest.raises(TrackingError, match="Nothing was trained"), runs.stage_run(settings, "adapt", "jaffe"):
        pytest.fail("the body must not run")
    refused = CliRunner().invoke(app, ["send"])
    assert refused.exit_code == 1
    assert f"{run_id} could not be sent to {server.uri}: " in refused.output
    assert len(unsent()) == 7


def test_what_a_server_that_stays_away_should_have_had_is_kept_and_sent_later(
    settings: Params,
    server: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(offline_queue, "PATIENCE", 1.0)
    torch.manual_seed(0)
    network = small()
    crops = write_store(tmp_path / "store", [flat(0)] * 2, [{"key": str(index)} for index in range(2)])
    Path("curve.csv").write_text("epoch,loss\n")
    with runs.stage_run(settings, "adapt", "ckplus") as run:
        run.log({"loss": 2.0}, 1)
        server.kill()
        run.log({"loss": 1.0}, 2)
        run.log_tags({"hardware": "an abacus"})
        run.log_dataset(crops, np.array([1]), "target")
        run.log_files([Path("curve.csv")], "adapt")
        run.log_model(network, ADAPTED, "pocan-ckplus")
        Path("curve.csv").write_text("of a later run\n")
        began, end = time.monotonic(), time.time_ns() // 1_000_000
    assert time.monotonic() - began < 15
    output = capsys.readouterr().err
    assert (
        output.count("does not answer since")
        == output.count("still does not answer: waiting 1 seconds for it, once")
        == 1
    )
    assert f"6 entries are kept in {tmp_path / offline_queue.UNSENT / run.id}. When it is back: pocan send" in output

    require_refused(settings, server, run.id)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    server.start()
    sent = CliRunner().invoke(app, ["send"])
    assert f"adapt@ckplus ({run.id}): 6 entries logged to {server.uri}" in sent.stdout.splitlines()
    assert CliRunner().invoke(app, ["send"]).stdout == "nothing waits to be sent\n"

    client = mlflow.MlflowClient()
    found = client.get_run(run.id)
    assert [(m.step, m.value) for m in client.get_metric_history(run.id, "loss")] == [(1, 2.0), (2, 1.0)]
    assert found.data.tags["pocan.hardware"] == "an abacus"
    assert found.inputs is not None
    assert [data.dataset.name for data in found.inputs.dataset_inputs] == [f"{crops.description['dataset']}-target"]
    assert found.info.status == "FINISHED"
    assert found.info.end_time is not None
    assert abs(found.info.end_time - end) < 5000
    assert Path(client.download_artifacts(run.id, "adapt/curve.csv", str(tmp_path))).read_text() == "epoch,loss\n"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    require_model(run.id, network)
