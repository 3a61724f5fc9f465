"""A GPU gives what the CPU gives. Left out where there is none; where there is one: ``pytest tests/test_cuda.py``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.compute.team import Team
from pipeline.config.learning import ComputeParams
from pipeline.data import augment, batches
from pipeline.errors import ParamsError
from pipeline.faces.mtcnn import MTCNN
from pipeline.prediction.predictor import Predictor
from pipeline.training.checkpoints import Checkpoint
from pipeline.training.loop import Task, fit
from tests.faces.scenes import photograph, scenes, two_faces
from tests.methods import test_contract as contract
from tests.methods import toy
from tests.prediction.test_predictor import TRAINED
from tests.tasks import CPU, ROWS, VIEWS, adaptation, pictures, pocan, pretraining

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")]

CUDA = torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def _float32() -> Iterator[None]:
    """Without TF32, which rounds as bf16 does and would hide a difference."""
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = True


def team(**compute: Any) -> Team:
    params = {"precision": "fp32", "compile": False, "devices": 1} | compute
    return Team.start("cuda", ComputeParams.model_validate(params))


def curve(task: Task, path: Path, on: Team) -> list[dict[str, float]]:
    return fit(task, Checkpoint(path, {}), lambda *_: None, on)


def alike(one: list[dict[str, float]], other: list[dict[str, float]], within: float) -> None:
    assert len(one) == len(other) > 0
    for row, expected in zip(one, other, strict=True):
        assert row == pytest.approx(expected, rel=within, abs=within)


def test_views_are_those_of_the_cpu() -> None:
    draws = augment.draw(24, torch.Generator().manual_seed(1))
    here, there = (augment.to_float(pictures(1, device).batch(ROWS)) for device in (CPU, CUDA))
    assert there.device == CUDA
    view, expected = (augment.training_view(images, draws, VIEWS).cpu() for images in (there, here))
    # A hue is of a sector of 60 degrees: rounding puts a few pixels into the next.
    assert ((view - expected).abs() > 1e-4).double().mean() < 1e-3
    central, expected = (augment.evaluation_view(images, 0.85).cpu() for images in (there, here))
    torch.testing.assert_close(central, expected, atol=1e-4, rtol=0)


def test_crops_that_do_not_fit_are_fetched_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pictures(1, CUDA)
    monkeypatch.setattr(batches, "RESIDENT_SHARE", 0.0)
    fetched = pictures(1, CUDA)
    rows = torch.tensor([3, 0, 23, 3])
    assert torch.equal(whole.batch(rows), fetched.batch(rows))
    assert (whole._rows._resident is None, fetched._rows._resident is None) == (False, True)


def test_stage_1_learns_as_on_the_cpu(tmp_path: Path) -> None:
    on, here = team(), Team.single_process("cpu")
    found = curve(pretraining(on), tmp_path / "gpu.pt", on)
    expected = curve(pretraining(here), tmp_path / "cpu.pt", here)
    alike(found[:1], expected[:1], within=0.02)
    # From noise as labels at a high rate: what differs in the last digit differs in the second one two epochs later.
    assert [row["loss"] for row in found] == pytest.approx([row["loss"] for row in expected], rel=0.1)


@pytest.mark.parametrize("name", contract.TRAINED)
def test_a_method_takes_the_steps_that_it_takes_on_the_cpu(name: str, tmp_path: Path) -> None:
    on, here = team(), Team.single_process("cpu")
    found, expected = (curve(adaptation(name, each), tmp_path / each.device.type, each) for each in (on, here))
    alike(found[:1], expected[:1], within=0.02)


@pytest.mark.parametrize("name", contract.TRAINED)
def test_a_method_adapts_and_goes_on_after_an_interruption(name: str, tmp_path: Path) -> None:
    on, changes = team(), contract.CHANGES.get(name, {})
    task = toy.method(name, on, **changes)
    before = toy.accuracy(task)
    whole = contract.fit(task, tmp_path / "whole.pt")
    assert before < 30.0
    if name in contract.ADAPTING:
        assert toy.accuracy(task) > before + contract.BETTER, whole
    with pytest.raises(contract.KilledError):
        contract.fit(toy.method(name, on, **changes), tmp_path / "cut.pt", until=1)
    resumed = contract.fit(toy.method(name, on, **changes), tmp_path / "cut.pt")
    assert [row["epoch"] for row in resumed] == [row["epoch"] for row in whole]
    alike(resumed[:2], whole[:2], within=0.05)


@pytest.mark.parametrize("compiles", [False, True])
def test_bf16_is_near_float32(compiles: bool, tmp_path: Path) -> None:
    exact, rounded = team(), team(precision="auto", compile=compiles)
    assert rounded.precision == "bf16"
    for name, build in (("pretrain", pretraining), ("pocan", pocan)):
        expected = curve(build(exact), tmp_path / f"{name}-32", exact)
        found = curve(build(rounded), tmp_path / f"{name}-16", rounded)
        alike(found[:1], expected[:1], within=0.1)


def test_a_training_begun_on_the_gpu_goes_on_on_the_cpu(tmp_path: Path) -> None:
    on, here = team(), Team.single_process("cpu")
    expected = curve(pretraining(here), tmp_path / "cpu.pt", here)
    with pytest.raises(contract.KilledError):
        fit(pretraining(on), Checkpoint(tmp_path / "cut.pt", {}), _kill_after_the_first, on)
    found = curve(pretraining(here), tmp_path / "cut.pt", here)
    alike(found[:1], expected[:1], within=0.02)
    assert [row["loss"] for row in found] == pytest.approx([row["loss"] for row in expected], rel=0.1)


def _kill_after_the_first(_: Any, epoch: int) -> None:
    if epoch == 1:
        raise contract.KilledError


@pytest.mark.parametrize("large_first", [False, True])
def test_faces_are_those_of_the_cpu(large_first: bool) -> None:
    images = [*scenes().values(), photograph(), two_faces()]
    found, expected = (MTCNN(20, 0.709, (0.6, 0.7, 0.8), device, large_first).detect(images) for device in (CUDA, CPU))
    assert sum(len(one.boxes) for one in expected) > 5
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=0.05)
        np.testing.assert_allclose(one.landmarks, other.landmarks, atol=0.05)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-3)


def test_predictions_are_those_of_the_cpu() -> None:
    expected = Predictor(TRAINED, CPU).predict([two_faces(), photograph()])
    try:
        found = Predictor(TRAINED, CUDA).predict([two_faces(), photograph()])
    finally:
        TRAINED.model.to(CPU)  # other tests share it
    assert [len(faces) for faces in found] == [len(faces) for faces in expected]
    for faces, others in zip(found, expected, strict=True):
        for face, other in zip(faces, others, strict=True):
            np.testing.assert_allclose(face.probabilities, other.probabilities, atol=1e-3)


def test_more_gpus_than_there_are_is_said() -> None:
    with pytest.raises(ParamsError, match=r"99 processes \(compute\.devices, or torchrun's\), but this machine has"):
        team(devices=99)
