"""A registered model behind ``mlflow models serve``: clear answers to whatever is sent, and a server that stays."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
import torch
from typer.testing import CliRunner

from pipeline.config.load import load
from pipeline.data.crops import CROP_SIZE
from pipeline.tracking import offline_queue, runs
from pocan.cli import app
from tests.faces.scenes import noise, photograph, two_faces
from tests.models import ADAPTED, small
from tests.prediction.encoded import in_base64, png

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
URI = f"models:/pocan-ckplus@{offline_queue.ALIAS}"
STARTS_WITHIN = 180
"""Seconds, on a machine that has other things to do."""


@dataclass(frozen=True)
class Server:
    """A running server: where it listens, its process, and the file of what it says."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path

    def post(self, **request: Any) -> requests.Response:
        return requests.post(f"{self.address}/invocations", timeout=STARTS_WITHIN, **request)

    def ask(self, *pictures: str) -> list[dict[str, Any]]:
        """The answers to pictures in base64."""
        response = self.post(json={"inputs": pictures})
        assert response.status_code == 200, response.text
        answers: list[dict[str, Any]] = response.json()["predictions"]
        return answers

    def lives(self) -> bool:
        ping = requests.get(f"{self.address}/ping", timeout=STARTS_WITHIN)
        return ping.status_code == 200 and self.process.poll() is None


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project's folder, the working directory, in whose store a small model is registered."""
    folder = tmp_path_factory.mktemp("project")
    settings = load(ROOT / "params.yaml")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.delenv("MLFLOW_TRACKING_URI", raising=False)
        patched.setenv("NO_PROXY", "127.0.0.1")
        with runs.stage_run(settings, "adapt", "ckplus") as run:
            run.log_model(small(), ADAPTED, "pocan-ckplus")
        yield folder
        # Choosing a store also sets the environment variable, which would leak into later tests and processes.
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
        os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[Server]:
    """``mlflow models serve`` as docs/serving.md says, on a machine without a network."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment |= {**nowhere, "PYTHONPATH": str(ROOT), "PIP_NO_INDEX": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = ["mlflow", "models", "serve", "-m", URI, "--env-manager", "local", "--port", str(port)]
    log = project / "server.log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [*command, "--timeout", str(STARTS_WITHIN)],
            cwd=project,
            env=environment,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Server(f"http://127.0.0.1:{port}", process, log)
    try:
        wait_for(running)
        yield running
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


def wait_for(server: Server) -> None:
    end = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < end and server.process.poll() is None:
        try:
            if requests.get(f"{server.address}/ping", timeout=5).status_code == 200:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    pytest.fail(f"the server did not start: {server.log.read_text()}")


def test_a_photograph_is_answered_as_pocan_predict_does(server: Server, project: Path) -> None:
    (project / "two.png").write_bytes(png(two_faces()))
    (answer,) = server.ask(in_base64(png(two_faces())))
    output = CliRunner().invoke(app, ["predict", "two.png", "--model", URI, "--format", "jsonl"])
    rows = [json.loads(line) for line in output.stdout.splitlines()]
    assert len(rows) == 2
    assert answer["error"] is None
    for face, row in zip(answer["faces"], rows, strict=True):
        assert face["box"] == pytest.approx(row["box"], abs=0.1)
        assert face["expression"] == row["expression"]
        assert face["probabilities"] == pytest.approx(row["probabilities"], abs=2e-4)


def test_a_hundred_requests_at_once_are_all_answered(server: Server) -> None:
    kinds = [in_base64(png(photograph())), in_base64(png(noise(64, 64))), in_base64(b"broken"), "no base64!"]
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda number: server.ask(kinds[number % 4])[0], range(100)))
    assert [len(answer["faces"]) for answer in answers] == [1, 0, 0, 0] * 25
    alone = [server.ask(kind)[0]["error"] for kind in kinds]
    assert [answer["error"] for answer in answers] == alone * 25
    assert alone[:2] == [None, None]
    assert alone[2].startswith("picture 1: not a picture in a known format")
    assert alone[3].startswith("picture 1: not base64")
    assert server.lives()


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"{not", "application/json", "Ensure that input is a valid JSON formatted string"),
        (b'{"pictures": []}', "application/json", "exactly one of the input fields"),
        (b'{"inputs": []}', "application/json", "missing inputs"),
        (b"\xff\xd8\xff\xe0", "image/jpeg", "only supports the following content types"),
        (b"{}", None, ""),  # MLflow 3.17 says "Internal Server Error"
    ],
)
def test_what_is_no_request_is_refused(server: Server, body: bytes, kind: str | None, message: str) -> None:
    response = server.post(data=body, headers={"content-type": kind} if kind else {})
    assert response.status_code >= 400
    assert message in response.text
    assert server.lives()


@pytest.mark.parametrize("form", ["inputs", "instances", "dataframe_records", "dataframe_split"])
def test_every_form_of_mlflows_protocol_is_taken(server: Server, form: str) -> None:
    pictures = [in_base64(png(photograph())), in_base64(png(noise(64, 64)))]
    frame = pd.DataFrame({"picture": pictures})
    forms = {"dataframe_records": frame.to_dict("records"), "dataframe_split": frame.to_dict("split")}
    response = server.post(json={form: forms.get(form, pictures)})
    assert response.status_code == 200
    assert [len(answer["faces"]) for answer in response.json()["predictions"]] == [1, 0]


@pytest.mark.usefixtures("project")
def test_in_python_the_model_takes_bytes_and_other_parameters_of_its_faces() -> None:
    content = [png(two_faces()), b"broken"]
    answers = mlflow.pyfunc.load_model(URI).predict(content)
    assert [len(answer["faces"]) for answer in answers] == [2, 0]
    large_only = mlflow.pyfunc.load_model(URI, model_config={"device": "cpu", "faces": ["min_face=150"]})
    assert [len(answer["faces"]) for answer in large_only.predict(content)] == [1, 0]


@pytest.mark.usefixtures("project")
def test_a_network_that_predicts_nothing_keeps_crops_as_its_input() -> None:
    network = small().network
    images = np.random.Generator(np.random.PCG64(0)).random((3, 3, CROP_SIZE, CROP_SIZE), dtype=np.float32)
    with runs.stage_run(load(ROOT / "params.yaml"), "pretrain") as run:
        run.log_model(network)
    loaded = mlflow.pyfunc.load_model(f"runs:/{run.id}/model")
    with torch.no_grad():
        np.testing.assert_allclose(loaded.predict(images), network(torch.from_numpy(images)).numpy(), atol=1e-5)
