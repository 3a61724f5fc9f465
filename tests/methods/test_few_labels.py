"""A few labels: the fit against a reference in NumPy, its folds, and which candidate is taken."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.methods.few_labels import Evidence, Objective, Weights, first_of_the_best, fit, folds, trained
from pipeline.networks.features import GivenFeatures
from pipeline.networks.network import Decision, ProjectionHead, PrototypeClassifier, Prototypes

WEIGHTS = Weights(source=0.7, rest=0.4, hold=0.3)
Floats = NDArray[np.float64]


class Head(nn.Module):
    """g on given features of three numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = GivenFeatures(3), ProjectionHead(3, 16, 3)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        z: torch.Tensor = self.head(self.encoder(features))
        return z


def norm_of(model: PrototypeClassifier) -> nn.BatchNorm1d:
    """The batch norm within g."""
    head: Any = model.network.head
    norm = head.layers[1]
    assert isinstance(norm, nn.BatchNorm1d)
    return norm


def source_model(possible: int = 7) -> PrototypeClassifier:
    torch.manual_seed(1)
    decision = Decision()
    decision.adjust(torch.arange(1.0, 8.0) / 28, 1.0)
    decision.restrict(range(possible))
    model = PrototypeClassifier(Head(), Prototypes(3), decision).double().eval()  # type: ignore[arg-type]
    with torch.no_grad():
        model.prototypes.matrix.mul_(4)
        norm = norm_of(model)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2.0)
    return model


def evidence(with_source: bool = True) -> Evidence:
    generator = torch.Generator().manual_seed(2)
    draw = [torch.randn(count, 3, generator=generator, dtype=torch.float64) for count in (6, 9, 8)]
    source = draw[2] if with_source else draw[2][:0]
    labels = torch.tensor([0, 0, 0, 1, 4, 6]), torch.arange(8)[: len(source)] % 7
    return Evidence(draw[0], labels[0], draw[1], source, labels[1])


def reference(theta: Floats, model: PrototypeClassifier, found: Evidence, weights: Weights) -> float:
    """The objective, written anew from the module's docstring, of all weights in one vector."""
    start = [value.detach().numpy() for value in trained(model)]
    sizes = np.cumsum([0, *[value.size for value in start]])
    parts = [theta[a:b].reshape(value.shape) for a, b, value in zip(sizes[:-1], sizes[1:], start, strict=True)]
    norm: Any = norm_of(model)
    mean, deviation = norm.running_mean.numpy(), np.sqrt(norm.running_var.numpy() + norm.eps)
    adjustment = model.decision.adjustment.double().numpy()

    def logits(x: torch.Tensor, tensors: list[Floats]) -> Floats:
        first, offset, scale, shift, last, matrix = tensors
        hidden = np.maximum((x.numpy() @ first.T + offset - mean) / deviation * scale + shift, 0.0)
        z = hidden @ last.T
        answer: Floats = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12) @ matrix.T
        return answer

    def log_softmax(values: Floats) -> Floats:
        answer: Floats = values - np.log(np.exp(values).sum(axis=1, keepdims=True))
        return answer

    labels = found.labels.numpy()
    chosen = log_softmax(logits(found.labelled, parts) - adjustment)[np.arange(len(labels)), labels]
    value = -np.mean([chosen[labels == label].mean() for label in np.unique(labels)])
    if len(found.source):
        chosen = log_softmax(logits(found.source, parts))[np.arange(len(found.source)), found.source_labels.numpy()]
        value -= weights.source * chosen.mean()
    p = np.exp(log_softmax(logits(found.rest, parts) - adjustment))
    before = (logits(found.rest, start) - adjustment).argmax(axis=1)
    shares = (np.bincount(before, minlength=7) + 1) / (len(before) + 7)
    average = p.mean(axis=0)
    value += weights.rest * (-(p * np.log(p)).sum(axis=1).mean() + (average * np.log(average / shares)).sum())
    for now, then in zip(parts, start, strict=True):
        size = np.square(then).sum()
        value += weights.hold / 2 * np.square(now - then).sum() / (size if size > 0 else 1.0)
    return float(value)


def vector(model: PrototypeClassifier) -> Floats:
    answer: Floats = torch.cat([value.detach().flatten() for value in trained(model)]).numpy()
    return answer


@pytest.mark.parametrize("with_source", [True, False])
def test_the_objective_is_that_of_the_docstring(with_source: bool) -> None:
    model, found = source_model(), evidence(with_source)
    objective = Objective(model, found, WEIGHTS)
    assert objective(model).item() == pytest.approx(reference(vector(model), model, found, WEIGHTS), rel=1e-6)
    moved = fit(model, found, WEIGHTS, iterations=2)
    assert objective(moved).item() == pytest.approx(reference(vector(moved), model, found, WEIGHTS), rel=1e-6)


def test_the_fit_ends_at_a_minimum_of_the_reference() -> None:
    model, found = source_model(), evidence()
    with torch.no_grad():
        norm_of(model).bias.fill_(6.0)  # no kink of ReLU is near
    weights = Weights(source=0.7, rest=0.4, hold=30.0)
    start, end = vector(model), vector(fit(model, found, weights, iterations=200))

    def value(theta: Floats) -> float:
        return reference(theta, model, found, weights)

    slope = [(value(end + step) - value(end - step)) / 2e-5 for step in 1e-5 * np.eye(len(end))]
    assert np.abs(slope).max() < 1e-3
    assert value(end) < value(start) - 0.1
    generator = np.random.default_rng(0)
    around = [value(end + generator.normal(0, size, len(end))) for size in (0.003, 0.01, 0.03) for _ in range(30)]
    assert min(around) > value(end)


def test_a_fit_learns_its_labels_and_leaves_the_source_model_alone() -> None:
    model, found = source_model(possible=6), evidence()
    before = vector(model).copy()
    fitted = fit(model, found, Weights(source=0.0, rest=0.0, hold=0.0), iterations=100)
    assert fitted.embed(found.labelled)[1].argmax(dim=1).tolist() == found.labels.tolist()
    np.testing.assert_array_equal(vector(model), before)
    assert fitted.decision.possible.tolist() == [True] * 7  # 6 is among the labels
    assert model.decision.possible.tolist() == [True] * 6 + [False]
    again = fit(model, found, Weights(source=0.0, rest=0.0, hold=0.0), iterations=100)
    np.testing.assert_array_equal(vector(again), vector(fitted))


def test_folds_have_each_class_as_evenly_as_can_be() -> None:
    labels = np.repeat([0, 3, 5], [7, 1, 4])
    parts = folds(labels, 5, seed=0)
    assert np.bincount(parts, minlength=5).tolist() in ([3, 3, 2, 2, 2], [2, 2, 3, 3, 2])
    for label in (0, 3, 5):
        counts = np.bincount(parts[labels == label], minlength=5)
        assert counts.max() - counts.min() <= 1
    np.testing.assert_array_equal(parts, folds(labels, 5, seed=0))


def test_the_first_of_those_that_are_as_good_is_taken() -> None:
    rights = [np.arange(40) < count for count in (20, 21, 34, 35)]
    assert first_of_the_best(rights) == 2  # 35 of 40 is one more, with a standard error of one
    assert first_of_the_best(rights[:2]) == 0
    assert first_of_the_best([np.array([True])]) == 0
