"""SAR's step against the algorithm worked out in double precision, and its parts against values by hand."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from pipeline.methods.sar import Recovery, Sar, climb, mean_where
from tests.methods.toy import method

pytestmark = pytest.mark.slow  # the toy source model is trained first

RATE, RADIUS, MARGIN = 0.05, 0.1, 0.3


def entropies(network: nn.Module, matrix: Tensor, views: Tensor) -> Tensor:
    log_probabilities = torch.log_softmax(network(views) @ matrix.T, dim=1)
    return -(log_probabilities.exp() * log_probabilities).sum(dim=1)


def test_a_step_descends_from_the_sharpest_point_near_by() -> None:
    """Of the pictures that are sure before, and again there."""
    task = method("sar", lr=RATE, radius=RADIUS, margin=MARGIN, fixed=0.4)
    assert isinstance(task, Sar)
    batch = next(task.begin_epoch(0).batches)
    views = task.training_views(batch)[1].double()
    network, matrix = copy.deepcopy(task.network).double(), task.prototypes.matrix.detach().double()
    start = copy.deepcopy(network.state_dict())
    # Of three layers the last stays: 0.4 of them, rounded.
    names = [f"encoder.trunk.{place}.{kind}" for place in (1, 4) for kind in ("weight", "bias")]
    parameters = [network.get_parameter(name) for name in names]

    bound = MARGIN * math.log(7)
    first = entropies(network, matrix, views)
    sure = first < bound
    assert 0 < sure.sum() < len(sure)
    gradients = torch.autograd.grad(first[sure].mean(), parameters)
    length = math.sqrt(sum(gradient.square().sum().item() for gradient in gradients))
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.add_(RADIUS * gradient / length)
    again = entropies(network, matrix, views)[sure]
    sharp = again[again < bound].mean()
    gradients = torch.autograd.grad(sharp, parameters)

    found = task.step(batch, 0.0)
    assert found["loss"].item() == pytest.approx(first[sure].mean().item(), rel=1e-4)
    assert found["sharp"].item() == pytest.approx(sharp.item(), rel=1e-4)
    assert found["reliable"].item() == pytest.approx(sure.double().mean().item())
    for name, gradient in zip(names, gradients, strict=True):
        expected = start[name] - RATE * gradient
        torch.testing.assert_close(task.network.get_parameter(name).double(), expected, rtol=1e-4, atol=1e-5)
    for name, parameter in task.network.named_parameters():
        assert (name in names) or torch.equal(parameter.double(), start[name]), name


def test_the_mean_of_none_is_nothing_with_no_gradient() -> None:
    values = torch.tensor([1.0, 3.0, 8.0], requires_grad=True)
    assert mean_where(values, torch.tensor([True, True, False])).item() == 2.0
    nothing = mean_where(values, torch.zeros(3, dtype=torch.bool))
    (gradient,) = torch.autograd.grad(nothing, values)
    assert nothing.item() == 0.0
    assert gradient.tolist() == [0.0, 0.0, 0.0]


def test_climbing_goes_so_far_along_the_common_gradient() -> None:
    parameters = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))]
    parameters[0].grad, parameters[1].grad = torch.tensor([2.0, 1.0]), torch.tensor([2.0])
    climb(parameters, 0.3)
    assert parameters[0].tolist() == pytest.approx([0.2, 0.1])
    assert parameters[1].item() == pytest.approx(1.2)
    assert parameters[2].item() == 1.0
    parameters[0].grad, parameters[1].grad = torch.zeros(2), torch.zeros(1)
    climb(parameters, 0.3)
    assert parameters[1].item() == pytest.approx(1.2)


def test_a_collapse_is_seen_in_the_moving_average() -> None:
    recovery = Recovery()
    assert not recovery.collapsed(torch.tensor(0.3), 0.2)
    assert not recovery.collapsed(torch.tensor(0.0), 0.2)  # 0.27
    assert recovery.average.item() == pytest.approx(0.27)
    assert not recovery.collapsed(torch.tensor(0.0), 0.2)
    assert not recovery.collapsed(torch.tensor(0.0), 0.19)
    assert recovery.collapsed(torch.tensor(0.0), 0.2)  # 0.177
    assert not recovery.collapsed(torch.tensor(0.5), 0.2)
    assert recovery.average.item() == 0.5  # begun anew


def test_a_collapsed_model_goes_back_to_the_source_models_layers() -> None:
    task = method("sar", lr=RATE, recover_below=10.0)
    before = [parameter.clone() for parameter in task.model.parameters()]
    plan = task.begin_epoch(0)
    for _ in range(2):
        task.step(next(plan.batches), 0.0)
        assert all(torch.equal(a, b) for a, b in zip(before, task.model.parameters(), strict=True))
    assert task.optimiser.state_dict()["state"] == {}  # type: ignore[attr-defined]
