"""Tent against SciPy's entropy and differences of it, and what it leaves alone."""

import copy

import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy as entropy_of
from torch import Tensor, nn

from pipeline.methods.parts.norms import BATCH_NORMS, NORMS, norms_of, train_only
from pipeline.methods.tent import Tent
from pipeline.networks.network import Network
from tests.methods.toy import method

pytestmark = pytest.mark.slow  # the toy source model is trained first

RATE = 0.01


def mean_entropy(network: Network, matrix: Tensor, views: Tensor) -> float:
    """Of what a network predicts for these pictures by their own statistics."""
    with torch.no_grad():
        logits = copy.deepcopy(network).train()(views) @ matrix.T
    return float(entropy_of(softmax(logits.numpy(), axis=1), axis=1).mean())


def test_a_step_goes_down_the_mean_entropy() -> None:
    """In double precision, by the differences that single scales and shifts make."""
    task = method("tent", lr=RATE)
    assert isinstance(task, Tent)
    batch = next(task.begin_epoch(0).batches)
    views = task.training_views(batch)[1].double()
    before, matrix = copy.deepcopy(task.network).double(), task.prototypes.matrix.detach().double()
    found = task.step(batch, 0.0)
    assert found["entropy"].item() == pytest.approx(mean_entropy(before, matrix, views), rel=1e-4)
    for name in ("encoder.trunk.1.weight", "encoder.trunk.4.bias", "head.layers.1.weight"):
        gradient = (before.get_parameter(name) - task.network.get_parameter(name)) / RATE
        place = int(gradient.abs().argmax())
        ends = []
        for shift in (1e-5, -1e-5):
            moved = copy.deepcopy(before)
            with torch.no_grad():
                moved.get_parameter(name)[place] += shift
            ends.append(mean_entropy(moved, matrix, views))
        assert gradient[place].item() == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-2), name


def test_scales_and_shifts_alone_are_trained_and_statistics_follow_the_target() -> None:
    task = method("tent", lr=RATE)
    assert isinstance(task, Tent)
    before = copy.deepcopy(task.model.state_dict())
    task.step(next(task.begin_epoch(0).batches), 0.0)
    norms = {name for name, layer in task.model.named_modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)}
    assert len(norms) == 3
    for key, value in task.model.state_dict().items():
        assert torch.equal(value, before[key]) != (key.rpartition(".")[0] in norms), key


def test_layers_without_scale_and_shift_are_none_to_train() -> None:
    layers = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.LayerNorm(2), nn.BatchNorm1d(2, affine=False))
    assert norms_of(layers, BATCH_NORMS) == [layers[1]]
    assert norms_of(layers, NORMS) == [layers[1], layers[2]]
    trained = train_only(layers, norms_of(layers, NORMS))
    assert [parameter.requires_grad for parameter in layers.parameters()] == [False, False, True, True, True, True]
    assert len(trained) == 4
