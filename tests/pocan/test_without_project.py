"""Commands in a folder of one's own, where no project of this pipeline is: a model folder and pictures are enough."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from pipeline.config.paths import PROTOTYPES
from pipeline.config.pictures import DEFAULT_FACES
from pipeline.data.crops import CropStore
from pipeline.labels import EXPRESSIONS
from pipeline.networks import saved
from pipeline.networks.trained import open_model
from pipeline.prediction.predictor import Predictor
from pipeline.tracking.runs import StageRun
from pocan.cli import app
from tests.faces.scenes import photograph
from tests.models import write_adapted, write_source

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["empty", "foreign"])
def here(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: pictures and models alone, or in a DVC project that is another's."""
    if request.param == "foreign":
        (tmp_path / "params.yaml").write_text("seed: 1\ntrain: {lr: 0.1}\n")
        (tmp_path / "dvc.yaml").write_text("stages:\n  adapt: {cmd: python train.py, deps: [train.py]}\n")
    for index in range(3):
        place = tmp_path / f"album/{EXPRESSIONS[index]}/{index}.png"
        place.parent.mkdir(parents=True)
        Image.fromarray(np.roll(photograph(), 4 * index, axis=1)).save(place)
    write_source(tmp_path / "theirs")
    write_adapted(tmp_path / "adapted")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.mark.slow
def test_an_album_is_adapted_to(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{here}/runs.db")
    monkeypatch.setattr(StageRun, "log_model", lambda *_: None)  # takes seconds, and is tested elsewhere
    asked = ("adapt", "album", "--model", "theirs/prototypes", "--out", "mine")
    answer = invoke(*asked, "-S", "seed=5", "-S", "tracking.experiment=photos")
    runs = mlflow.search_runs(experiment_names=["photos"], output_format="list")
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    assert answer.exit_code == 0, answer.output
    assert open_model(Path("mine/model")).adapted
    assert len(pd.read_csv("mine/predictions.csv")) == 3
    (run,) = (run for run in runs if run.data.tags["pocan.stage"] == "adapt")
    assert (run.data.params["seed"], run.data.params["source"]) == ("5", "rafdb")
    assert not [name for name in run.data.params if name.startswith(("pretrain.", "data."))]  # nobody said how


@pytest.mark.usefixtures("here")
def test_faces_are_found_as_everywhere_by_default() -> None:
    answer = invoke("faces", "album", "--out", "found", "-S", "margin=0.2", "--processes", "1")
    assert answer.exit_code == 0, answer.output
    made = CropStore.open(Path("found/crops")).description["faces"]
    assert made == DEFAULT_FACES.model_copy(update={"margin": 0.2}).model_dump(mode="json")


@pytest.mark.usefixtures("here")
def test_pictures_are_predicted_and_scored() -> None:
    answer = invoke("predict", "album", "--model", "adapted", "--out", "rows.csv")
    assert answer.exit_code == 0, answer.output
    answer = invoke("score", "album", "--model", "adapted", "--predictions", "rows.csv", "--out", "scores")
    assert answer.exit_code == 0, answer.output
    assert Path("scores/scores.csv").is_file()


@pytest.mark.usefixtures("here")
def test_a_model_that_is_not_there_is_asked_for() -> None:
    for command in (("predict", "album"), ("adapt", "album", "--out", "mine"), ("export", "--out", "onnx")):
        answer = invoke(*command)
        assert answer.exit_code == 1
        asked = f"error: {PROTOTYPES}/model.json: no such file; dvc repro makes it in a project; name the folder of a"
        assert asked in answer.stderr
        assert answer.stderr.endswith("with --model, or make one with pocan import-model\n")
    assert not Path("mine").exists()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "command",
    [
        ["report"],
        ["summary"],
        ["check"],
        ["compare"],
        ["study", "ablation"],
        ["trials", "trials.csv"],
        ["trial-target", "rafdb", "--out", "trial"],
    ],
    ids=lambda command: command[0],
)
def test_what_needs_a_project_says_so_in_one_line(command: list[str]) -> None:
    before = sorted(Path().rglob("*"))
    answer = invoke(*command)
    assert answer.exit_code == 1
    (line,) = answer.stderr.splitlines()
    assert line.startswith("error: ")
    assert "project's root" in line
    assert sorted(Path().rglob("*")) == before


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.usefixtures("here")
def test_standard_output_that_is_closed_or_full_is_no_traceback() -> None:
    program = f"{shlex.quote(sys.executable)} -c 'from pocan.cli import app; app()' predict album --model adapted"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    closed, full = (
        subprocess.run(f"{program} {to}", shell=True, env=environment, capture_output=True, text=True, check=False)
        for to in (">&-", ">/dev/full")
    )
    assert closed.returncode == 0, closed.stderr
    assert full.returncode == 1
    (line,) = (line for line in full.stderr.splitlines() if line.startswith("error: "))
    assert "the standard output: cannot be written (No space left on device)" in line
    assert "Traceback" not in closed.stderr + full.stderr


@pytest.mark.usefixtures("here")
def test_ctrl_c_is_one_line_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictor, "predict", interrupt)
    before = sorted(Path().rglob("*"))
    answer = invoke("predict", "album", "--model", "adapted", "--out", "rows.csv", "--draw", "drawn")
    assert answer.exit_code == 130
    assert answer.stderr.splitlines()[-1] == "interrupted"
    assert sorted(Path().rglob("*")) == before


@pytest.mark.usefixtures("here")
def test_a_model_of_a_project_that_is_no_model_is_told() -> None:
    Path("models/prototypes").mkdir(parents=True)
    saved.save(Path("models/prototypes"), {}, {"stage": "pretrain"})
    answer = invoke("predict", "album")
    assert (answer.exit_code, answer.stderr.count("error: ")) == (1, 1)
