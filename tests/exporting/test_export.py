"""ONNX files against PyTorch, and the card."""

import ast
import contextlib
import errno
import io
import json
import logging
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pipeline.data import augment
from pipeline.data.crops import CropStore
from pipeline.errors import ParamsError
from pipeline.exporting import onnx
from pipeline.exporting.export import _compared_crops, _cropped_otherwise
from pipeline.exporting.onnx import Exported
from pipeline.labels import EXPRESSIONS
from pipeline.networks import saved
from pipeline.networks.grey_levels import ToneCurve
from pipeline.networks.restoration import Restoration
from pipeline.networks.trained import open_model
from pipeline.prediction.predictor import Predictor
from pocan.cli import app
from tests.models import ADAPTED, small, write_adapted
from tests.stores import write_store
from tests.tasks import MODEL

pytest.importorskip("onnx")

CROPS = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (5, 112, 112, 3), dtype=np.uint8)


def test_the_view_inside_is_the_evaluation_view() -> None:
    model = small()
    crops = torch.from_numpy(CROPS)
    expected = model(augment.evaluation_view(augment.to_float(crops.permute(0, 3, 1, 2)), 0.85))
    torch.testing.assert_close(Exported(model, 0.85)(crops), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "changed"), [("none", False), ("batch", True)])
def test_the_file_computes_what_the_model_does_for_any_number_of_crops(
    norm: Literal["none", "batch"], changed: bool, tmp_path: Path
) -> None:
    import onnx as library

    params = MODEL.model_copy(update={"projection_norm": norm})
    model = small(params=params)
    if changed:
        encoder = model.network.encoder
        encoder.tone, encoder.restoration = ToneCurve(torch.linspace(0.0, 1.0, 256) ** 2), Restoration(encoder.dim)
        torch.nn.init.orthogonal_(encoder.restoration.weight)
    taken = {"chosen": "source", "matched": changed, "restored": changed}
    made = {**ADAPTED, "model": params.model_dump(), "encoder_statistics": taken}
    saved.save(tmp_path / "model", dict(model.named_children()), made)
    trained = open_model(tmp_path / "model")
    onnx.export(trained, tmp_path / "model.onnx")
    for count in (1, 5):
        assert onnx.difference(trained, tmp_path / "model.onnx", CROPS[:count]) < 1e-5
    found = {entry.key: entry.value for entry in library.load(tmp_path / "model.onnx").metadata_props}
    assert found["expressions"].split(",") == list(EXPRESSIONS)
    faces = json.loads(found["faces"])
    assert (faces["margin"], faces["search"]) == (0.25, "exact")  # as pocan predict finds them
    assert faces == Predictor(trained, torch.device("cpu")).faces.model_dump(mode="json")
    assert json.loads(found["made_from"])["weights_sha256"] == trained.description["weights_sha256"]


@pytest.mark.slow
def test_int8_is_smaller_and_near(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import onnx as library

    write_adapted(tmp_path / "model")
    onnx.export(open_model(tmp_path / "model"), tmp_path / "model.onnx")
    onnx.quantise(tmp_path / "model.onnx", tmp_path / "int8.onnx", CROPS)
    exact, rounded = (onnx.predict(tmp_path / name, CROPS) for name in ("model.onnx", "int8.onnx"))
    assert 0 < np.abs(exact - rounded).max() < 0.2
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    weights = [
        library.numpy_helper.to_array(tensor)
        for tensor in library.load(tmp_path / "int8.onnx").graph.initializer
        if tensor.data_type == library.TensorProto.INT8 and len(tensor.dims) > 1
    ]
    assert len(weights) > 10
    # Two products with an unsigned byte fit into 16 bits, in which processors without VNNI add them.
    assert max(2 * 255 * int(np.abs(each.astype(int)).max()) for each in weights) < 2**15
    assert (tmp_path / "int8.onnx").stat().st_size < 0.5 * (tmp_path / "model.onnx").stat().st_size


def invoke(*arguments: str | Path):  # type: ignore[no-untyped-def]
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


@pytest.mark.slow
def test_the_command_writes_a_checked_file_and_a_card(tmp_path: Path) -> None:
    write_adapted(tmp_path / "model", weights_origin="none")
    answer = invoke("--model", tmp_path / "model", "--out", tmp_path / "out")
    assert answer.exit_code == 0, answer.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["card.md", "model.onnx"]
    card = (tmp_path / "out/card.md").read_text(encoding="utf-8")
    assert "# Facial expressions: a model for JAFFE" in card
    assert "Source, with labels: RAF-DB, **drawn stand-ins**" in card
    assert "largest difference to PyTorch" in card
    assert "Not for decisions about people" in card
    assert re.search(
        r"[\d.]+ ms for one crop, [\d.]+ ms a crop in batches of 32: model.onnx with ONNX Runtime on ", card
    )
    by_onnx = next(code for code in re.findall(r"```python\n(.*?)```", card, re.DOTALL) if "onnxruntime" in code)
    with contextlib.chdir(tmp_path / "out"), contextlib.redirect_stdout(io.StringIO()) as said:
        exec(by_onnx, {})
    assert ast.literal_eval(said.getvalue())[0] in EXPRESSIONS
    by_pocan = next(code for code in re.findall(r"```python\n(.*?)```", card, re.DOTALL) if "pocan" in code)
    assert f"pocan.load_model({str(tmp_path / 'model')!r})" in by_pocan


@pytest.mark.slow
def test_what_is_there_is_not_overwritten_and_nothing_is_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_adapted(tmp_path / "model")
    (tmp_path / "out").mkdir()
    answer = invoke(tmp_path / "model", "--out", tmp_path / "out")  # named as scripts of before do
    assert answer.exit_code == 1
    assert "out: exists already; remove it or name another one with --out" in answer.stderr
    answer = invoke("--model", tmp_path / "model", "--out", tmp_path / "o\udce9")
    assert answer.exit_code == 1
    assert "not UTF-8, so not all files could be written there; name another with --out" in answer.stderr
    answer = invoke(tmp_path / "model", "--out", tmp_path / "other", "--int8")
    assert answer.exit_code == 1
    assert "int8 needs 40 crops to measure activations on, and there are none" in answer.stderr
    assert "pocan faces FOLDER --out DIR, and name them with --crops DIR" in answer.stderr

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(onnx, "difference", full)
    assert invoke(tmp_path / "model", "--out", tmp_path / "other").exit_code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "out"]


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_package_that_is_missing_or_cannot_be_loaded_is_told(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        if name == package:
            raise ImportError("libpython.so: cannot open shared object file")

    monkeypatch.setattr(onnx, "import_module", broken)
    with pytest.raises(
        ParamsError, match=f"^{package}: installed, but cannot be loaded .libpython.*pip install --force"
    ):
        onnx._require("onnx", "onnxscript", "onnxruntime")
    monkeypatch.setattr(onnx, "package_folder", lambda name: None if name == package else Path(name))
    with pytest.raises(ParamsError, match=rf"^{package}: not installed; pip install 'pocan\[onnx\]'"):
        onnx._require("onnx", "onnxscript", "onnxruntime")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A crop store of 60 crops of noise on a background."""
    generator = np.random.Generator(np.random.PCG64(0))
    crops = [
        (generator.integers(0, 256) + generator.normal(0, 30, (112, 112, 3))).clip(0, 255).astype(np.uint8)
        for _ in range(60)
    ]
    rows = [{"key": f"{index:02d}.png", "label": index % 7, "method": "mtcnn"} for index in range(60)]
    return write_store(tmp_path / "crops", crops, rows, "jaffe", "stand-in").folder


@pytest.mark.slow
def test_an_int8_model_says_how_often_it_decides_alike(tmp_path: Path, store: Path) -> None:
    write_adapted(tmp_path / "model", weights_origin="none")
    answer = invoke("--model", tmp_path / "model", "--out", tmp_path / "out", "--int8", "--crops", store)
    assert answer.exit_code == 0, answer.output
    assert "WARNING" not in answer.stderr
    card = (tmp_path / "out/card.md").read_text(encoding="utf-8")
    found = re.search(r"int8; decides as model.onnx on ([\d.]+) % of 30 other crops", card)
    assert found is not None
    assert float(found[1]) >= 95


def test_crops_by_another_recipe_than_the_models_are_told(tmp_path: Path, store: Path) -> None:
    write_adapted(tmp_path / "model")
    trained, found = open_model(tmp_path / "model"), CropStore.open(store)
    theirs = found.description["faces"]
    assert _cropped_otherwise(trained, found) == (
        f"{store}: crops with margin {theirs['margin']}, unlike those the model has learned from; make them again by "
        "pocan faces with -S margin=0.25"
    )
    theirs["margin"] = 0.25
    theirs["min_face"] += 1  # decides which faces are found, not how they are cropped
    assert _cropped_otherwise(trained, found) == ""


def test_crops_are_named_by_their_store_or_by_the_folder_of_pocan_faces(tmp_path: Path, store: Path) -> None:
    write_adapted(tmp_path / "model")
    for named in (store, store.parent):
        crops, found = _compared_crops(open_model(tmp_path / "model"), named)
        assert found is not None
        assert (found.folder, len(crops)) == (store, 60)


def test_an_imported_model_without_labels_is_not_called_calibrated(tmp_path: Path) -> None:
    write_adapted(tmp_path / "model")
    trained = open_model(tmp_path / "model")
    assert onnx.metadata(trained)["output"] == "probabilities: float N×7, calibrated, in the order of expressions"
    imported = replace(trained, description={**trained.description, "imported": {}})
    assert "the imported network's own, not calibrated" in onnx.metadata(imported)["output"]


@pytest.mark.slow
def test_an_int8_model_that_decides_otherwise_is_refused(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_adapted(tmp_path / "model")
    saved.save(tmp_path / "other", dict(small(7).named_children()), ADAPTED)
    onnx.export(open_model(tmp_path / "other"), tmp_path / "other.onnx")
    monkeypatch.setattr(onnx, "quantise", lambda _path, to, _crops: shutil.copy(tmp_path / "other.onnx", to))
    answer = invoke("--model", tmp_path / "model", "--out", tmp_path / "out", "--int8", "--crops", store)
    assert answer.exit_code == 1
    assert re.search(r"error: the int8 model decides as model.onnx on [\d.]+ % of 30 other crops", answer.stderr)
    assert "Export without --int8" in answer.stderr
    assert not (tmp_path / "out").exists()
