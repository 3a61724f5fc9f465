"""An MLflow server whose clients write files to a bucket themselves: reported before training, waited for in it."""

import importlib
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
import torch
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, NoCredentialsError
from mlflow.entities import LoggedModelStatus
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

from pipeline.config.schema import Params
from pipeline.errors import TrackingError
from pipeline.tracking import offline_queue, runs
from pipeline.tracking.store import failures, is_unreachable, store_errors
from pocan.cli import app
from tests.stages.servers import free_port
from tests.tracking.servers import Server

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]


class Bucket:
    """moto's S3 with the bucket "pocan", which is empty at first and keeps what it has while nobody answers."""

    def __init__(self) -> None:
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._server: ThreadedMotoServer | None = None

    def start(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()

    def kill(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def ask(self, method: str) -> None:
        urllib.request.urlopen(urllib.request.Request(f"{self.uri}/pocan", method=method)).close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"), "s3://pocan/runs")
    server.start()
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    made = Bucket()
    made.start()
    urllib.request.urlopen(urllib.request.Request(f"{made.uri}/moto-api/reset", method="POST")).close()
    made.ask("PUT")
    variables = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**variables, "MLFLOW_S3_ENDPOINT_URL": made.uri}.items():
        monkeypatch.setenv(name, value)
    yield made
    made.kill()


@pytest.fixture
def settings(settings: Params) -> Params:
    Path("curve.csv").write_text("epoch,loss\n")
    return settings


def refused(settings: Params) -> str:
    with pytest.raises(TrackingError) as caught, runs.stage_run(settings, "pretrain"):
        pytest.fail("the body must not run")
    output = str(caught.value)
    assert "has its clients write to s3://pocan/runs/" in output
    assert "\nNothing was trained. See to the bucket" in output
    return output


def test_a_bucket_that_does_not_answer_is_reported_before_training(settings: Params, s3: Bucket) -> None:
    s3.kill()
    assert f'Could not connect to the endpoint URL: "{s3.uri}/pocan' in refused(settings)


def test_a_bucket_that_is_not_there_is_reported_before_training(settings: Params, s3: Bucket) -> None:
    s3.ask("DELETE")
    assert "The specified bucket does not exist" in refused(settings)


def test_the_library_that_writes_to_buckets_is_asked_for(settings: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert "boto3 is not installed: pip install 'pocan[s3]'" in refused(settings)


def test_what_a_bucket_that_goes_away_should_have_had_is_kept_and_sent_later(
    settings: Params, server: Server, s3: Bucket, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline_queue, "PATIENCE", 1.0)
    with runs.stage_run(settings, "adapt", "ckplus") as run:
        s3.kill()
        run.log_model(torch.nn.Flatten())
        run.log_files([Path("curve.csv")], "adapt")
        run.log({"loss": 1.0}, 1)
    output = capsys.readouterr().err
    assert f"The bucket of MLflow server {server.uri} does not answer since" in output
    assert "Connection refused" in output
    assert "When it is back: pocan send" in output
    assert f"{run.id} could not be sent to {server.uri}: " in CliRunner().invoke(app, ["send"]).output
    s3.start()
    assert f"adapt@ckplus ({run.id}): 3 entries logged" in CliRunner().invoke(app, ["send"]).stdout
    mlflow.set_tracking_uri(server.uri)
    client = mlflow.MlflowClient()
    assert [file.path for file in client.list_artifacts(run.id, "adapt")] == ["adapt/curve.csv"]
    logged = client.get_run(run.id)
    assert logged.data.metrics == {"loss": 1.0}
    models = client.search_logged_models([logged.info.experiment_id], f"source_run_id = '{run.id}'")
    assert [model.status for model in models] == [LoggedModelStatus.READY]  # none of an attempt that failed


def test_a_bucket_that_refuses_ends_the_stage_with_one_message(settings: Params, s3: Bucket) -> None:
    def stage() -> None:
        with runs.stage_run(settings, "adapt", "ckplus") as run:
            s3.ask("DELETE")
            run.log_files([Path("curve.csv")], "adapt")

    with pytest.raises(TrackingError) as caught:
        stage()
    output = str(caught.value)
    assert "The specified bucket does not exist" in output
    assert output.endswith("Training is kept up to its last epoch: see to the store and run the same command again")


def answer(status: int) -> ClientError:
    return ClientError({"Error": {"Code": str(status)}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (EndpointConnectionError(endpoint_url="http://s3"), True),
        (ConnectionClosedError(endpoint_url="http://s3"), True),
        (answer(503), True),
        (answer(403), False),
        (NoCredentialsError(), False),
    ],
)
def test_what_counts_as_a_bucket_that_is_away(error: Exception, away: bool) -> None:
    assert isinstance(error, failures())
    assert is_unreachable(error) is away


def test_no_other_error_becomes_mlflows() -> None:
    with pytest.raises(ValueError, match="ours"), store_errors():
        raise ValueError("ours")
    with pytest.raises(ModuleNotFoundError), store_errors():
        importlib.import_module("no_such_module")
