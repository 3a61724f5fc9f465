"""ONNX files against PyTorch, and the card."""

import errno
import json
import os
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pipeline.data import augment
from pipeline.exporting import onnx
from pipeline.exporting.onnx import Exported
from pipeline.labels import EXPRESSIONS
from pipeline.networks import saved
from pipeline.networks.trained import open_model
from pocan.cli import app
from tests.models import ADAPTED, small, write_adapted
from tests.tasks import MODEL

pytest.importorskip("onnx")

CROPS = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (5, 112, 112, 3), dtype=np.uint8)


def test_the_view_inside_is_the_evaluation_view() -> None:
    model = small()
    crops = torch.from_numpy(CROPS)
    expected = model(augment.evaluation_view(augment.to_float(crops.permute(0, 3, 1, 2)), 0.85))
    torch.testing.assert_close(Exported(model, 0.85)(crops), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_the_file_computes_what_the_model_does_for_any_number_of_crops(
    norm: Literal["none", "batch"], tmp_path: Path
) -> None:
    import onnx as library

    params = MODEL.model_copy(update={"projection_norm": norm})
    model = small(params=params)
    saved.save(tmp_path / "model", dict(model.named_children()), {**ADAPTED, "model": params.model_dump()})
    trained = open_model(tmp_path / "model")
    onnx.export(trained, tmp_path / "model.onnx")
    for count in (1, 5):
        assert onnx.difference(trained, tmp_path / "model.onnx", CROPS[:count]) < 1e-5
    found = {entry.key: entry.value for entry in library.load(tmp_path / "model.onnx").metadata_props}
    assert found["expressions"].split(",") == list(EXPRESSIONS)
    assert json.loads(found["faces"])["margin"] == 0.25
    assert json.loads(found["made_from"])["weights_sha256"] == trained.description["weights_sha256"]


@pytest.mark.slow
def test_int8_is_smaller_and_near(tmp_path: Path) -> None:
    write_adapted(tmp_path / "model")
    onnx.export(open_model(tmp_path / "model"), tmp_path / "model.onnx")
    onnx.quantise(tmp_path / "model.onnx", tmp_path / "int8.onnx", CROPS)
    exact, rounded = (onnx.predict(tmp_path / name, CROPS) for name in ("model.onnx", "int8.onnx"))
    assert 0 < np.abs(exact - rounded).max() < 0.2
    assert (tmp_path / "int8.onnx").stat().st_size < 0.5 * (tmp_path / "model.onnx").stat().st_size


def invoke(*arguments: str | Path):  # type: ignore[no-untyped-def]
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


@pytest.mark.slow
def test_the_command_writes_a_checked_file_and_a_card(tmp_path: Path) -> None:
    write_adapted(tmp_path / "model", weights_origin="none")
    answer = invoke(tmp_path / "model", "--out", tmp_path / "out")
    assert answer.exit_code == 0, answer.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["card.md", "model.onnx"]
    card = (tmp_path / "out/card.md").read_text(encoding="utf-8")
    assert "# Facial expressions: a model for JAFFE" in card
    assert "Source, with labels: RAF-DB, **drawn stand-ins**" in card
    assert "largest difference to PyTorch" in card
    assert "Not for decisions about people" in card


@pytest.mark.slow
def test_what_is_there_is_not_overwritten_and_nothing_is_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_adapted(tmp_path / "model")
    (tmp_path / "out").mkdir()
    answer = invoke(tmp_path / "model", "--out", tmp_path / "out")
    assert answer.exit_code == 1
    assert "is there already; remove it or name another folder" in answer.stderr
    answer = invoke(tmp_path / "model", "--out", tmp_path / "other", "--int8")
    assert answer.exit_code == 1
    assert "name a crop store with --crops" in answer.stderr

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(onnx, "difference", full)
    assert invoke(tmp_path / "model", "--out", tmp_path / "other").exit_code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "out"]
