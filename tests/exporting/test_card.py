"""What a model card says: scores with and without the pictures adapted to, confusion, crops, licences, speed."""

import json
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.config import paths
from pipeline.data.prepared import Split, write_split
from pipeline.evaluation.records import Result
from pipeline.exporting.card import Scored, card
from pipeline.exporting.export import _scored
from pipeline.exporting.use import Latency, licences
from pipeline.networks.trained import TrainedModel, open_model
from tests.models import write_adapted
from tests.reporting import made_results

LATENCY = Latency(1.25, 0.5, "A Processor", 2)


@pytest.fixture
def trained(tmp_path: Path) -> TrainedModel:
    write_adapted(tmp_path / "model")
    return open_model(tmp_path / "model")


def result(**changes: Any) -> Result:
    return Result.model_validate_json(json.dumps(made_results.result("jaffe", **changes)))


def text(trained: TrainedModel, adapted_to: NDArray[np.bool_] | None, **changes: Any) -> str:
    return card(trained, "mine/model", Scored(result(**changes), adapted_to), {"model.onnx": "float32"}, LATENCY)


def test_it_says_what_it_is_of_when_and_how_faces_are_cropped(trained: TrainedModel) -> None:
    said = card(trained, "mine/model", None, {}, LATENCY)
    assert f"Exported on {date.today().isoformat()} by version {version('pocan')}" in said
    assert "pocan.load_model('mine/model')" in said
    assert "mlflow models serve -m MODEL" in said
    assert "its box, widened by 0.25 of its width and height on each side" in said  # the margin of this model
    assert "Larger faces are shrunk by area averages (OpenCV's INTER_AREA), smaller ones enlarged by cubic" in said
    assert "Its score is not known" in said
    assert "1.2 ms for one crop, 0.5 ms a crop in batches of 32" in said
    assert "on A Processor, up to 2 threads" in said
    aligned = trained.faces.model_copy(update={"align": "similarity"})
    other = TrainedModel(trained.model, trained.params, trained.augment, aligned, trained.description)
    assert "its five landmarks" in card(other, "mine/model", None, {}, LATENCY)


def test_licences_are_named_and_what_is_not_known_is_said_so(trained: TrainedModel) -> None:
    assert "Pictures of the source, rafdb: drawn by this project" in card(trained, "m", None, {}, LATENCY)
    real = {role: {**trained.description[role], "provenance": "real"} for role in ("source", "target")}
    real["target"]["name"] = "holiday"
    other = TrainedModel(trained.model, trained.params, trained.augment, trained.faces, {**trained.description, **real})
    said = card(other, "m", None, {}, LATENCY)
    assert "Pictures of the source, rafdb: its authors' terms, given on request to institutions" in said
    assert "Pictures of the target, holiday: not known to this project" in said
    assert "Code: MIT" in said
    for licence, expected in (("Apache-2.0", "Apache-2.0"), (None, "not stated; ask their authors")):
        made = {**trained.description, "imported": {"licence": licence}}
        elsewhere = TrainedModel(trained.model, trained.params, trained.augment, trained.faces, made)
        assert f"Weights, imported: {expected}" in licences(elsewhere)


def test_confusion_and_groups(trained: TrainedModel) -> None:
    said = text(trained, None)
    assert "| anger | 15 | 5 | 0 | 0 | 0 | 0 | 0 |" in said
    assert "Nothing is measured by sex, age or skin tone" in said
    assert "It is not known whether the model was adapted to these pictures" in said


def test_an_interval_that_is_not_known_is_not_made_up(trained: TrainedModel) -> None:
    assert "accuracy 75.0 ◊ [68.0, 82.0] %, balanced" in text(trained, None)
    after = {**made_results.result("jaffe")["after"], "interval": None}
    assert "accuracy 75.0 ◊ %, balanced" in text(trained, None, after=after)


def test_a_source_model_that_was_kept_is_told(trained: TrainedModel) -> None:
    adapt = {**trained.description["adapt"], "choose": "information"}
    for epoch, told in ((0, True), (3, False)):
        made = {**trained.description, "adapt": adapt, "kept_epoch": epoch}
        other = TrainedModel(trained.model, trained.params, trained.augment, trained.faces, made)
        line = "- Kept without labels, by `adapt.choose: information`: the source model"
        assert (line in card(other, "m", None, {}, LATENCY)) == told


def test_accuracy_with_and_without_the_pictures_that_it_was_adapted_to(trained: TrainedModel) -> None:
    tested = result().tested
    assert tested is not None
    right = tested.classes("after") == tested.classes("labels")
    seen = np.zeros(140, dtype=bool)
    seen[np.flatnonzero(right)[:30]] = True  # 30 right ones; of the 110 others 75 are right
    said = text(trained, seen)
    assert "On the 30 of them that it was adapted to, without labels, accuracy 100.0 ◊ %" in said
    assert f"on the 110 others {100 * 75 / 110:.1f} ◊ %" in said
    assert "40 are of a sequence that it was adapted to" in said
    assert "The model was adapted to all of them" in text(trained, np.ones(140, dtype=bool))
    assert "The model was not adapted to any of them." in text(trained, np.zeros(140, dtype=bool))
    assert (
        "adapted to"
        not in text(trained, seen, method="dt", adapts=False)
        .split("Confusion matrix")[0]
        .split("## How good is it?")[1]
    )


def test_which_pictures_these_are_is_read_from_the_division(
    trained: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made_results.write(tmp_path, made_results.result("jaffe"))
    write_adapted(paths.adapted("jaffe"))
    unknown = _scored(trained)
    assert unknown is not None
    assert unknown.adapted_to is None
    write_split(paths.split("jaffe"), Split(np.arange(100), np.arange(60, 200)))
    known = _scored(trained)
    assert known is not None
    assert known.adapted_to is not None
    assert known.adapted_to.tolist() == [True] * 40 + [False] * 100
    write_split(paths.split("jaffe"), Split(np.arange(100), np.arange(100, 150)))  # another division since
    other = _scored(trained)
    assert other is not None
    assert other.adapted_to is None


def test_the_camera_for_which_features_are_restored_is_told(trained: TrainedModel) -> None:
    for side, camera in (
        (None, "blur 1.2 pixels, noise 3.0 grey levels;"),
        (18, "noise 3.0 grey levels, enlarged from 18 pixels;"),
    ):
        taken = {"chosen": "source", "matched": False, "restored": True, "blur": 1.2, "noise": 3.0, "side": side}
        made = {**trained.description, "encoder_statistics": taken}
        other = TrainedModel(trained.model, trained.params, trained.augment, trained.faces, made)
        assert camera in card(other, "m", None, {}, LATENCY)
