"""``pocan adapt``: own pictures in, an adapted model with predictions and a report out; and what is refused."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner, Result

import pocan
from pipeline.data.outcome import Outcome
from pipeline.data.prepared import Split, write_split
from pipeline.files.names import as_text
from pipeline.labels import EXPRESSIONS
from pipeline.methods.parts.shift import ShiftedClassifier
from pipeline.networks import saved
from pipeline.networks.trained import open_model
from pipeline.reporting.markdown import MARK_NOTE
from pipeline.tracking.runs import StageRun
from pipeline.training import loop
from pocan.cli import app
from tests.models import write_adapted
from tests.own_pictures.projects import write_project
from tests.prediction.videos import write_video

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One MLflow store for all tests here: to make one takes seconds."""
    yield f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


@pytest.fixture
def project(tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a small untrained source model, its source's crops, and an album, as the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    mlflow.set_tracking_uri(store)
    write_project(tmp_path)
    return tmp_path


@pytest.fixture
def _without_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's export of a model takes seconds, and is looked at once."""
    monkeypatch.setattr(StageRun, "log_model", lambda *_: None)


SHORT = ("-S", "adapt.epochs=2", "-S", "adapt.steps_per_epoch=1", "-S", "adapt.batch_size=4")
"""The command's own defaults train 300 steps."""


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["adapt", *SHORT, *arguments])


def refused(*arguments: str, message: str) -> None:
    before = sorted(path for path in Path().rglob("*") if "mlflow" not in path.name)
    answer = invoke(*arguments)
    assert answer.exit_code == 1, answer.output
    lines = [line for line in answer.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert sorted(path for path in Path().rglob("*") if "mlflow" not in path.name) == before


def predicts_as_written() -> None:
    """The saved model predicts the album as predictions.csv has it."""
    answer = CliRunner().invoke(app, ["predict", "album", "--model", "mine/model", "--out", "again.csv"])
    assert answer.exit_code == 0, answer.output
    shares = [f"p_{name}" for name in EXPRESSIONS]
    again = pd.read_csv("again.csv").sort_values("source")
    np.testing.assert_allclose(pd.read_csv("mine/predictions.csv")[shares], again[shares], atol=2e-3)


@pytest.mark.usefixtures("project")
def test_an_album_becomes_a_model_with_predictions_and_a_report() -> None:
    before = Path("params.yaml").read_bytes()
    changes = ("-S", "adapt.tau=0.6", "-S", "seed=3", "-S", "faces.margin=0.1")
    others = [Path("album", name) for name in ("clip.MP4", "sub/other.mov", "notes.txt")]
    for path in others:
        path.touch()
    answer = invoke("album", "--out", "mine", "--choose", "last", *changes)
    assert answer.exit_code == 0, answer.output
    assert "note: album: 2 videos were left out" in answer.stderr
    assert "pocan adapt clip.mp4 --out of-clip" in answer.stderr
    for path in others:  # pocan predict would read the videos
        path.unlink()
    assert answer.stdout.splitlines()[-5:] == [
        f"mine/{name}" for name in ("report.md", "index.html", "predictions.csv", "model", "label.html")
    ]
    assert Path("params.yaml").read_bytes() == before
    names = ["contact-sheets", "crops", "curve.csv", "faces.md", "index.html", "label-next.csv", "label.html", "model"]
    names += ["predictions.csv", "report.md", "validations.csv"]
    assert sorted(path.name for path in Path("mine").iterdir()) == names

    table = pd.read_csv("mine/predictions.csv")
    assert table["source"].tolist() == [f"album/sub/{index}.png" for index in range(5)]  # those with a face
    assert set(table["model"]) == {"model ◊"}
    assert table[[f"p_{name}" for name in EXPRESSIONS]].sum(axis=1).to_numpy() == pytest.approx(np.ones(5), abs=5e-4)
    model = open_model(Path("mine/model"))
    assert model.adapted
    assert (model.faces.margin, model.description["adapt"]["tau"]) == (0.1, 0.6)
    assert model.description["kept_epoch"] == 2
    assert (len(pd.read_csv("mine/curve.csv")), len(pd.read_csv("mine/validations.csv"))) == (2, 3)

    report = Path("mine/report.md").read_text()
    assert "adapted to 5 of 6 readable pictures" in report
    assert "POCAN" in report
    counts = table["expression"].value_counts()
    for name in EXPRESSIONS:
        row = next(line for line in report.splitlines() if line.startswith(f"| {name} |"))
        assert row.split(" | ")[2] == f"{counts.get(name, 0)} ◊"  # the source model's pictures are drawn
    assert "drawings in the layout of RAF-DB, not on photographs" in report
    assert "trained on drawn stand-ins of RAF-DB" in report
    assert MARK_NOTE not in report  # the album is of photographs
    assert '"mark":" ◊"' in Path("mine/index.html").read_text()

    query = "tags.`pocan.stage` = 'adapt' and tags.`pocan.target` = 'album'"
    run = mlflow.search_runs(search_all_experiments=True, filter_string=query, output_format="list")[0]
    assert (run.data.params["adapt.tau"], run.data.params["seed"], run.info.status) == ("0.6", "3", "FINISHED")
    assert {"adapt/report.md", "adapt/predictions.csv"} <= {
        file.path for file in mlflow.MlflowClient().list_artifacts(run.info.run_id, "adapt")
    }
    found = "a face in 5 of 6 readable pictures: MTCNN found one in 5; 1 could not be read; details: mine/faces.md"
    assert found in answer.stderr
    shown = CliRunner().invoke(
        app, ["predict", "album", "--model", "models:/pocan-own-album@newest", "--out", "rows.csv"]
    )
    assert shown.exit_code == 0, shown.output
    assert "album/no-face.png: no face" in shown.stderr
    predicted = pd.read_csv("rows.csv")
    assert list(predicted.columns) == list(table.columns)
    for column in ("source", "face", "expression"):
        assert predicted[column].tolist() == table[column].tolist(), column


def states_after(
    method: str, statistics: str, others: str = "never"
) -> tuple[dict[str, Tensor], dict[str, Tensor], list[str]]:
    """The states of the source model and of the adapted one, and the keys of the source model's encoder."""
    rules = {"encoder_statistics": statistics, "histogram_matching": others, "restoration": others}
    own = [part for name, rule in rules.items() for part in ("-S", f"adapt.{name}={rule}")]
    answer = invoke("album", "--out", "mine", "--method", method, "--choose", "last", *own)
    assert answer.exit_code == 0, answer.output
    source, adapted = (open_model(Path(folder)).model.state_dict() for folder in ("models/prototypes", "mine/model"))
    return source, adapted, [key for key in source if key.startswith("network.encoder.")]


@pytest.mark.usefixtures("project", "_without_export")
@pytest.mark.parametrize("method", ["pocan", "shot"])
def test_an_adaptation_of_the_head_leaves_the_encoder_as_it_was(method: str) -> None:
    source, adapted, encoder = states_after(method, "source")
    assert len(encoder) > 50
    assert all(torch.equal(source[key], adapted[key]) for key in encoder)
    assert not torch.equal(source["network.head.layers.0.weight"], adapted["network.head.layers.0.weight"])
    assert not Path("mine/.in-progress").exists()


@pytest.mark.usefixtures("project", "_without_export")
@pytest.mark.parametrize("method", ["pocan", "dt"])
def test_the_encoder_has_the_statistics_of_the_pictures_where_they_are_asked_for(method: str) -> None:
    source, adapted, encoder = states_after(method, "target", "always")
    for part in ("tone.curve", "restoration.weight"):
        assert (f"network.encoder.{part}" in adapted) == (method == "pocan")
    changed = {key.rpartition(".")[2] for key in encoder if not torch.equal(source[key], adapted[key])}
    assert changed == ({"running_mean", "running_var"} if method == "pocan" else set())
    predicts_as_written()
    # What the report calls "before" is the source model with its own statistics.
    predicted = CliRunner().invoke(app, ["predict", "album", "--model", "models/prototypes", "--out", "before.csv"])
    assert predicted.exit_code == 0, predicted.output
    before = pd.read_csv("before.csv").expression.value_counts()
    lines = Path("mine/report.md").read_text().splitlines()
    for name in EXPRESSIONS:
        row = next(line for line in lines if line.startswith(f"| {name} |"))
        assert row.split(" | ")[1] == f"{before.get(name, 0)} ◊"


@pytest.mark.usefixtures("project", "_without_export")
def test_an_interrupted_adaptation_goes_on_and_ends_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke("album", "--out", "whole").exit_code == 0
    with monkeypatch.context() as patch:
        run_epoch = loop._run_epoch
        patch.setattr(loop, "_run_epoch", lambda *a: interrupt() if a[1] else run_epoch(*a))
        assert invoke("album", "--out", "parts").exit_code != 0
    crops = Path("parts/crops/crops.npy").stat().st_mtime_ns
    with monkeypatch.context() as patch:
        patch.setattr(Outcome, "write", interrupt)
        answer = invoke("album", "--out", "parts")
    assert answer.exit_code != 0
    assert "continuing after epoch 1 of 2" in answer.output
    assert not Path("parts/report.md").exists()
    answer = invoke("album", "--out", "parts")
    assert answer.exit_code == 0, answer.output
    assert "continuing after epoch 2 of 2" in answer.output
    assert Path("parts/crops/crops.npy").stat().st_mtime_ns == crops
    for name in ("model/model.safetensors", "predictions.csv", "curve.csv", "report.md", "index.html", "label.html"):
        assert Path("parts", name).read_bytes() == Path("whole", name).read_bytes(), name
    assert not Path("parts/.in-progress").exists()


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.usefixtures("project", "_without_export")
def test_without_the_source_only_methods_that_need_none() -> None:
    shutil.rmtree("data")
    message = "POCAN needs the pictures that the model was trained on: data/crops/rafdb"
    refused("album", "--out", "mine", "--method", "pocan", message=message)
    seen = ("--method", "shot", "--choose", "source_accuracy")
    refused("album", "--out", "mine", *seen, message="source_accuracy needs source pictures")
    answer = invoke("album", "--out", "adapted", "--method", "shot")
    assert answer.exit_code == 0, answer.output
    best = int(pd.read_csv("adapted/validations.csv")["information"].argmax())
    assert open_model(Path("adapted/model")).description["kept_epoch"] == best
    kept = (
        f"adapted model**, after epoch {best} of 2. Training changed" if best else "source model**: mutual information"
    )
    assert f"**Kept the {kept}" in Path("adapted/report.md").read_text()
    assert len(pd.read_csv("adapted/predictions.csv")) == 5
    answer = invoke("album", "--out", "mine", "--method", "dt")
    assert answer.exit_code == 0, answer.output
    table = pd.read_csv("mine/predictions.csv")
    answer = CliRunner().invoke(app, ["predict", "album", "--out", "source.csv"])  # by the source model itself
    assert answer.exit_code == 0, answer.output
    shares = [f"p_{name}" for name in EXPRESSIONS]
    found = pd.read_csv("source.csv").sort_values("source")
    np.testing.assert_allclose(table[shares], found[shares], atol=2e-3)


@pytest.mark.usefixtures("project", "_without_export")
def test_the_average_that_was_scored_is_the_model_that_is_saved() -> None:
    changes = ("-S", "adapt.ema=0.5", "-S", "adapt.lr=0.1", "-S", "adapt.trains=all")
    answer = invoke("album", "--out", "mine", "--choose", "last", *changes)
    assert answer.exit_code == 0, answer.output
    predicts_as_written()


@pytest.mark.usefixtures("project", "_without_export")
def test_a_search_keeps_one_of_its_configurations() -> None:
    changes = ("--search", "3", "-S", "adapt.lr=0.1")
    answer = invoke("album", "--out", "mine", "--method", "shot", *changes)
    assert answer.exit_code == 0, answer.output
    made = saved.describe(Path("mine/model"))
    assert len(made["candidates"]) == 3
    assert made["candidates"][0]["lr"] == 0.1
    if made["kept_epoch"]:
        kept = made["candidates"][made["kept_epoch"] - 1]
        assert {key: made["adapt"][key] for key in kept} == kept
    assert len(pd.read_csv("mine/validations.csv")) == 4
    kept = f"adapted model** of configuration {made['kept_epoch']} of" if made["kept_epoch"] else "source model**: "
    assert f"**Kept the {kept}" in Path("mine/report.md").read_text()


@pytest.mark.usefixtures("project", "_without_export")
def test_a_method_without_training_adapts_in_one_pass_without_the_source() -> None:
    shutil.rmtree("data")
    answer = invoke("album", "--out", "mine", "--choose", "last")
    assert answer.exit_code == 0, answer.output
    report = Path("mine/report.md").read_text()
    why = "because the model's training pictures are not here (data/crops"
    assert f"Method: Class-aware shift, {why}" in report
    found = open_model(Path("mine/model"))
    assert isinstance(found.model, ShiftedClassifier)
    assert found.description["kept_epoch"] == 1
    predicts_as_written()


@pytest.mark.usefixtures("project", "_without_export")
@pytest.mark.parametrize("with_source", [True, False])
def test_a_few_labels_choose_the_model_and_say_how_good_it_is(with_source: bool) -> None:
    if not with_source:
        shutil.rmtree("data")
    lines = ["sub/0.png,happy", "sub/1.png,happy", "album/sub/2.png,fear", "no-face.png,fear"]
    Path("few.csv").write_text("\n".join(["picture,expression", *lines]))
    answer = invoke("album", "--out", "mine", "--labels", "few.csv")
    assert answer.exit_code == 0, answer.output
    report = Path("mine/report.md").read_text()
    assert "3 labelled pictures: fear 1, happiness 2." in report
    assert "1 labels are not used, because no face was found in their pictures: few.csv, line 5" in report
    rows = [line for line in report.splitlines() if " of 3" in line and line.count("|") == 4]
    assert len(rows) == 4
    kept = next(row for row in rows if "**" in row)
    model = open_model(Path("mine/model"))
    said = model.description["labels"]
    assert said["counts"]["happiness"] == 2
    assert f"| {said['right']} of 3 ◊ |" in kept
    assert report.startswith("# album: fitted to your labels\n") == (said["kept"] == "fit")
    assert {"source": "as it is", "adapted": "without labels", "fit": "fitted"}[said["kept"]] in kept
    predicted = pd.read_csv("mine/predictions.csv")
    assert len(predicted) == 5
    asked = pd.read_csv("mine/label-next.csv")
    assert sorted(asked["picture"]) == ["sub/3.png", "sub/4.png"]
    assert '["sub/2.png",2]' in Path("mine/label.html").read_text()
    found = pocan.load_model("mine/model", device="cpu").predict(Path("album/sub/4.png"))[0]
    assert found.expression == predicted["expression"].iloc[4]
    assert found.confidence == pytest.approx(predicted["confidence"].iloc[4], abs=2e-3)


@pytest.mark.usefixtures("project", "_without_export")
def test_labels_do_not_call_the_source_model_adapted() -> None:
    Path("few.csv").write_text("picture,expression\nsub/0.png,happy\nsub/1.png,happy\nsub/2.png,fear\n")
    answer = invoke("album", "--out", "mine", "--labels", "few.csv", "--method", "dt")
    assert answer.exit_code == 0, answer.output
    report = Path("mine/report.md").read_text()
    titles = [
        line.split("|")[1].strip(" *") for line in report.splitlines() if " of 3" in line and line.count("|") == 4
    ]
    assert titles[0] == "the source model as it is"
    assert [title.split(",")[0] for title in titles[1:]] == ["fitted to the labels"] * 2
    assert "adapted by" not in report


@pytest.mark.usefixtures("project", "_without_export")
def test_a_source_model_of_before_its_statistics_were_kept_is_told() -> None:
    model = open_model(Path("models/prototypes"))
    older = {name: part for name, part in model.model.named_children() if name not in ("network", "statistics")}
    saved.save(Path("models/prototypes"), older, model.description)
    message = "shift: this source model has no class statistics; run dvc repro prototypes"
    refused("album", "--out", "mine", "--method", "shift", message=message)


@pytest.mark.usefixtures("project", "_without_export")
def test_a_video_is_a_set_of_frames() -> None:
    write_video(Path("film.mp4"), 9)
    answer = invoke("film.mp4", "--out", "mine", "--every", "2")
    assert answer.exit_code == 0, answer.output
    table = pd.read_csv("mine/predictions.csv")
    assert table["source"].tolist() == ["film.mp4"] * 5
    assert table["frame"].tolist() == [0, 2, 4, 6, 8]
    assert "a face in 5 of 5 readable frames" in answer.stderr
    assert " 5 of 5 readable frames" in Path("mine/report.md").read_text()


@pytest.mark.usefixtures("project", "_without_export")
@pytest.mark.parametrize("name", [b"dossier\xe9", b"d" * 255])
def test_any_name_of_an_album_is_adapted_to(name: bytes) -> None:
    album = Path(os.fsdecode(name))
    Path("album").rename(album)
    answer = invoke(str(album), "--out", "mine")
    assert answer.exit_code == 0, answer.output
    assert pd.read_csv("mine/predictions.csv")["source"].tolist() == [
        f"{as_text(album)}/sub/{index}.png" for index in range(5)
    ]
    assert invoke(str(album), "--out", "mine").exit_code == 1  # done already, not another album's


@pytest.mark.usefixtures("project", "_without_export")
def test_a_name_that_cannot_be_kept_is_one_line() -> None:
    refused("album", "--out", os.fsdecode(b"mine\xe9"), message=r"mine\xe9: not UTF-8")
    Path("album", os.fsdecode(b"caf\xe9.png")).write_bytes(Path("album/no-face.png").read_bytes())
    answer = invoke("album", "--out", "mine")
    assert answer.exit_code == 1
    assert "is not UTF-8; rename the file" in answer.stderr


@pytest.mark.usefixtures("project", "_without_export")
@pytest.mark.parametrize("labels", [(), ("--labels", "few.csv")], ids=["unlabelled", "labelled"])
def test_only_the_expressions_that_occur_are_predicted(labels: tuple[str, ...]) -> None:
    Path("few.csv").write_text("picture,expression\nsub/0.png,happy\nsub/1.png,fear\n")
    answer = invoke("album", "--out", "mine", "--expressions", "fear, happiness", *labels)
    assert answer.exit_code == 0, answer.output
    predicted = pd.read_csv("mine/predictions.csv")
    np.testing.assert_allclose(predicted["p_fear"] + predicted["p_happiness"], 1.0, atol=1e-3)
    rows = [line.split(" | ") for line in Path("mine/report.md").read_text().splitlines() if line.startswith("| ")]
    before = {cells[0].removeprefix("| "): cells[1] for cells in rows if cells[0] in ("| anger", "| neutral", "| all")}
    assert before == {"anger": "0 ◊", "neutral": "0 ◊", "all": "5 ◊"}  # so is the source model that it is compared with
    assert "you named can be predicted: fear, happiness." in Path("mine/report.md").read_text()
    predicts_as_written()


@pytest.mark.usefixtures("project")
def test_bad_requests_are_one_line_and_leave_nothing() -> None:
    Path("film.mp4").write_bytes(b"no film" * 100)
    Path("empty").mkdir()
    write_adapted(Path("adapted"))
    Path("full").mkdir()
    Path("full/mine.txt").write_text("mine")
    refused("nowhere", "--out", "mine", message="nowhere: no such folder")
    refused("empty", "--out", "mine", message="empty: no pictures; name a folder of pictures")
    Path("fakes").mkdir()
    Path("fakes/one.jpg").write_bytes(b"no picture")
    refused("fakes", "--out", "mine", message="fakes: none of the 1 pictures can be read; name a folder of pictures")
    refused("album", "--out", "mine", "--device", "tpu", message="device: 'tpu' is unknown")
    refused("film.mp4", "--out", "mine", message="film.mp4: not a video that can be read")
    refused("params.yaml", "--out", "mine", message="params.yaml: neither a folder of pictures nor a video")
    refused("album", "--out", "album/mine", message="name a folder beside it")
    refused("album", "--out", "full", message="full: exists already")
    refused("album", "--out", "mine", "--model", "nowhere", message="nowhere/model.json: no such file")
    refused("album", "--out", "mine", "--model", "adapted", message="adapted: adapted already, to jaffe")
    refused("album", "--out", "mine", "--method", "pocann", message="params.yaml:")
    refused("album", "--out", "mine", "--choose", "lsat", message="params.yaml:")
    refused("album", "--out", "mine", "-S", "model.backbone=dlib", message="the rest is stored in the model")
    refused("album", "--out", "mine", "-S", "faces.margn=1", message="faces.margn: unknown key")
    Path("few.csv").write_text("picture,expression\nsub/0.png,happy\nsub/9.png,sad\n")
    message = "few.csv, line 3: sub/9.png: no such picture in album"
    refused("album", "--out", "mine", "--labels", "few.csv", message=message)
    Path("few.csv").write_text("picture,expression\nsub/0.png,happy\nsub/1.png,sad\n")
    refused("album", "--out", "mine", "--expressions", "fear", message="--expressions: name at least two")
    refused("album", "--out", "mine", "--expressions", "fear,joy", message="--expressions: unknown expression 'joy'")
    refused(
        "album", "--out", "mine", "--expressions", "fear,fear", message="--expressions: an expression is named twice"
    )
    named = ("--labels", "few.csv", "--expressions", "happiness,fear")
    refused("album", "--out", "mine", *named, message="few.csv, line 3: sadness is not among --expressions")
    whole = ("--labels", "few.csv", "--method", "agra")
    refused("album", "--out", "mine", *whole, message="--labels: the fit works on features of f, but AGRA needs more")


@pytest.mark.usefixtures("project")
def test_unfinished_work_is_not_mixed_with_other_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(loop, "fit", interrupt)
        assert invoke("album", "--out", "mine").exit_code != 0
    refused("album/sub", "--out", "mine", message="mine: holds unfinished work on")
    others = ("--expressions", "fear,happiness")
    refused(
        "album", "--out", "mine", *others, message="album, with other expressions; remove it or name another folder"
    )
    shutil.rmtree("mine")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "fit", interrupt)
        assert invoke("album", "--out", "mine", *others).exit_code != 0
        again = invoke("album", "--out", "mine", "--expressions", "happiness,fear")  # the same in another order
        assert again.exit_code == 130, again.output
    Path("mine/.in-progress/pictures.json").write_text("{")
    refused("album", "--out", "mine", message="mine/.in-progress/pictures.json: damaged, so the unfinished work")


@pytest.mark.usefixtures("project", "_without_export")
def test_unfinished_work_is_not_continued_with_other_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("few.csv").write_text("picture,expression\nsub/0.png,happy\nsub/1.png,fear\n")
    Path("other.csv").write_text("picture,expression\nsub/0.png,happy\nsub/1.png,sad\n")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "fit", interrupt)
        assert invoke("album", "--out", "mine", "--labels", "few.csv").exit_code != 0
    message = "album, with other labels; remove it or name another folder"
    refused("album", "--out", "mine", "--labels", "other.csv", message=message)
    refused("album", "--out", "mine", message=message)
    Path("other.csv").write_text("picture,expression\nsub/1.png,FEAR\nsub/0.png,happiness\n")  # the same in other words
    answer = invoke("album", "--out", "mine", "--labels", "other.csv")
    assert answer.exit_code == 0, answer.output


@pytest.mark.usefixtures("project")
def test_other_source_pictures_than_those_of_the_model_are_refused() -> None:
    write_split(Path("data/splits/rafdb.parquet"), Split(np.arange(9), np.arange(9, 14)))
    changed = "data/crops/rafdb or its split has changed since"
    refused("album", "--out", "mine", "--method", "pocan", message=changed)


@pytest.mark.usefixtures("project")
def test_pictures_without_faces_are_nothing_to_adapt_to() -> None:
    shutil.rmtree("album/sub")
    answer = invoke("album", "--out", "mine")
    assert answer.exit_code == 1
    assert "0 of 1 pictures have a face, too few to adapt to; look at mine/faces.md" in answer.stderr
    assert not Path("mine/model").exists()
