"""Source-free methods on a network that was trained elsewhere, and why the others refuse it."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.compute.team import Team
from pipeline.config.learning import LinearModelParams
from pipeline.config.methods import METHODS
from pipeline.data.batches import DeviceCrops
from pipeline.errors import ParamsError
from pipeline.methods import Method, SourceDomain, TargetDomain, default_method, implementation, require_fitting
from pipeline.methods.aad import Aad
from pipeline.methods.parts.training_free import TrainingFree
from pipeline.networks import saved
from pipeline.networks.network import LinearClassifier, PrototypeClassifier
from pipeline.networks.trained import open_model
from pipeline.training import loop
from pipeline.training.checkpoints import Checkpoint
from tests.importing.networks import imported_fer
from tests.methods.toy import CPU, VIEWS

ABLE = [name for name, params in METHODS.items() if params.source_free and not params.needs_statistics]
MISSING = 2
"""An expression that the network is taken not to know."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of fer's network, which tells the toy's pictures apart and does not know one class."""
    folder = tmp_path_factory.mktemp("imported")
    model, made = imported_fer(folder), saved.describe(folder / "fer-model")
    with torch.no_grad():
        model.prototypes.matrix.mul_(15.0)
        model.prototypes.matrix[MISSING] = 0.0
        model.decision.restrict(label for label in range(7) if label != MISSING)
    saved.save(folder / "fer-model", dict(model.named_children()), made)
    return folder / "fer-model"


def source_model(folder: Path) -> PrototypeClassifier:
    model = open_model(folder).model
    assert isinstance(model, PrototypeClassifier)
    return model


def inputs(count: int = 32) -> DeviceCrops:
    squares = np.random.Generator(np.random.PCG64(1)).integers(0, 256, (count, 7, 7, 3), dtype=np.uint8)
    return DeviceCrops(squares.repeat(16, axis=1).repeat(16, axis=2), CPU)


def method(name: str, model: PrototypeClassifier, **changes: Any) -> Method:
    shared = {"method": name, "epochs": 1, "steps_per_epoch": 2, "batch_size": 16}
    params = METHODS[name].model_validate({**shared, **changes})
    none, rows = torch.empty(0, dtype=torch.long), torch.arange(32)
    without = DeviceCrops(np.empty((0, 112, 112, 3), np.uint8), CPU)
    loop.prepare(0, CPU)
    source, target = SourceDomain(without, none, none, none), TargetDomain(inputs(), rows, rows)
    return implementation(params)(model, source, target, params, VIEWS, 0, Team.single_process("cpu"))


@pytest.mark.parametrize("name", ABLE)
def test_a_source_free_method_adapts_it_and_its_folder_opens_again(name: str, folder: Path, tmp_path: Path) -> None:
    before = source_model(folder)
    task = method(name, source_model(folder), **({"lr": 0.05} if name in ("tent", "sar") else {}))
    loop.fit(task, Checkpoint(tmp_path / "c.pt", {}), lambda *_: None, task.team)
    task.predict_target()
    p = task.probabilities(torch.arange(32))
    torch.testing.assert_close(p.sum(dim=1), torch.ones(32))
    assert p[:, MISSING].eq(0).all()
    views = inputs().evaluation_view(inputs().batch(torch.arange(32)), 1.0)
    with torch.no_grad():
        source = before.eval()(views)
    assert torch.allclose(p, source, atol=1e-5) == (name == "dt")
    description = {**saved.describe(folder), "adapt": task.params.model_dump(), "stage": "adapt"}
    description["target"] = description["source"]
    saved.save(tmp_path / "adapted", task.modules(), description)
    opened = open_model(tmp_path / "adapted")
    assert (opened.imported, opened.adapted) == (True, True)
    assert isinstance(opened.params, LinearModelParams)
    with torch.no_grad():
        torch.testing.assert_close(opened.model.eval()(views), p, atol=1e-5, rtol=0)


@torch.no_grad()
def corrected(
    name: str, folder: Path, **changes: Any
) -> tuple[PrototypeClassifier, PrototypeClassifier, Tensor, Tensor]:
    """The model before and after a method without training, z of its pictures, and what is predicted for them."""
    before = source_model(folder)
    task = method(name, copy.deepcopy(before), **changes)
    assert isinstance(task, TrainingFree)
    z, p = task.predict_whole_target()
    task.correct(z, p)
    return before, task.model, z, p


def test_centroids_are_of_cosines_and_nothing_of_the_bias_stays(folder: Path) -> None:
    _, after, z, p = corrected("centroid", folder, rounds=1)
    unit = z.double().numpy() / np.linalg.norm(z.double().numpy(), axis=1, keepdims=True)
    means = p.double().numpy().T @ unit
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    cosines = unit @ means.T
    cosines[:, np.bincount(p.argmax(dim=1).numpy(), minlength=7) == 0] = -np.inf
    found = after.decision(after.prototypes(z)).argmax(dim=1).numpy()
    assert np.array_equal(found, cosines.argmax(axis=1))
    assert isinstance(after.prototypes, LinearClassifier)
    assert not after.prototypes.bias.any()


def test_t3a_is_the_released_codes(folder: Path) -> None:
    """Supports: rows of W and features; logits z · the sum of a class's unit supports, itself a unit vector."""
    before, after, z, p = corrected("t3a", folder, supports=None)
    w = before.prototypes.matrix.detach().double().numpy()
    supports = np.concatenate([w, z.double().numpy()])
    supports /= np.maximum(np.linalg.norm(supports, axis=1, keepdims=True), 1e-12)
    labels = np.concatenate([np.arange(7), p.argmax(dim=1).numpy()])
    weights = np.stack([supports[labels == label].sum(axis=0) for label in range(7)])
    weights /= np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-12)
    logits = z.double().numpy() @ weights.T
    logits[:, MISSING] = -np.inf
    assert np.array_equal(after.decision(after.prototypes(z)).argmax(dim=1).numpy(), logits.argmax(axis=1))


def test_shot_trains_by_the_classifier_with_its_bias_which_stays(folder: Path, tmp_path: Path) -> None:
    model = source_model(folder)
    assert isinstance(model.prototypes, LinearClassifier)
    before = [value.detach().clone() for value in model.prototypes.parameters()]
    z = torch.rand(3, 1152)
    torch.testing.assert_close(model.prototypes.fixed(z), model.prototypes(z))
    assert not model.prototypes.fixed(z).requires_grad
    task = method("shot", model, weight_decay=0.0)
    loop.fit(task, Checkpoint(tmp_path / "c.pt", {}), lambda *_: None, task.team)
    assert all(torch.equal(a, b) for a, b in zip(before, task.prototypes.parameters(), strict=True))  # type: ignore[attr-defined]


def test_aad_looks_for_neighbours_by_cosine(folder: Path) -> None:
    task = method("aad", source_model(folder))
    assert isinstance(task, Aad)
    task.prepare_epoch(0)
    torch.testing.assert_close(task._bank.norm(dim=1), torch.ones(32))


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ABLE])
def test_a_method_that_needs_the_source_says_so_by_its_name(name: str, folder: Path) -> None:
    with pytest.raises(ParamsError) as caught:
        method(name, source_model(folder))
    message = str(caught.value)
    assert message.startswith(f"adapt.method: {METHODS[name].title} ")
    assert "which an imported model does not bring" in message
    assert message.endswith(", ".join(ABLE))


def test_what_a_network_lacks_cannot_be_adapted(folder: Path) -> None:
    model = source_model(folder)
    with pytest.raises(ParamsError, match="no projection head"):
        method("shot", model, trains="head")
    assert default_method(model) == "adabn"
    require_fitting(method("t3a", copy.deepcopy(model), trains="head").params, model)  # it trains nothing
    for norm in [name for name, layer in model.named_modules() if isinstance(layer, nn.BatchNorm2d)]:
        holder, _, last = norm.rpartition(".")
        setattr(model.get_submodule(holder), last, nn.Identity())
    assert default_method(model) == "dt"
    for name in ("adabn", "tent"):
        with pytest.raises(ParamsError, match="changes batch norms alone, and this network has none"):
            method(name, model)
    with pytest.raises(ParamsError, match="changes layers of normalisation alone"):
        method("sar", model)
