"""Fit of g and M on a few labelled target pictures, on unlabelled ones and on the source.

f is fixed, so the fit works on its features. It minimises, over all weights θ of g and M,

    Σ_i w_i·CE(p(x_i), y_i)                    labelled pictures; every class has the same total weight
  + s · mean CE(softmax(z·Mᵀ), y)              source pictures, if available
  + u · (mean H(p) + KL(mean p ‖ π))           unlabelled pictures: certain predictions, with class shares near π
  + h/2 · Σ_t ‖θ_t − θ⁰_t‖² / ‖θ⁰_t‖²          distance of each tensor from the source model's, θ⁰

p are the probabilities of z = g(f(x)), logit adjustment included. Batch norms keep the source model's statistics. π are
the class shares of the unlabelled pictures as the source model predicts them, with one added to every count (Laplace);
they are fixed. L-BFGS uses all pictures at once (Liu and Nocedal 1989), so the fit is deterministic.

The first and last terms alone are a maximum a posteriori fit with a Gaussian prior centred at the source model. The
third is information maximisation (Shi and Sha, ICML 2012), here semi-supervised (Grandvalet and Bengio, NeurIPS 2004).
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.labels import NUM_CLASSES
from pipeline.methods.parts.decision import decision_logits, entropy
from pipeline.networks.network import PrototypeClassifier

ITERATIONS = 40
"""Maximum number of L-BFGS iterations. More fit the labelled pictures better, but do not change other predictions."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """The training data of a fit. All features are f(x), float.

    Attributes:
        labelled: features of the labelled pictures, n×D; a picture may occur in several views.
        labels: n int64.
        rest: features of unlabelled pictures, R×D.
        source: features of source pictures, S×D; empty if not available.
        source_labels: S int64.
    """

    labelled: Tensor
    labels: Tensor
    rest: Tensor
    source: Tensor
    source_labels: Tensor


@dataclass(frozen=True)
class Weights:
    """Weights of the terms of the objective, relative to that of the labelled pictures.

    Attributes:
        source: s, source pictures.
        rest: u, unlabelled pictures.
        hold: h, distance from the source model.
    """

    source: float = 1.0
    rest: float = 1.0
    hold: float = 1.0


def label_weights(labels: Tensor) -> Tensor:
    """Return weights that give every occurring class the same total: n int64 in, n float that sum to 1 out."""
    counts = torch.bincount(labels, minlength=NUM_CLASSES).to(torch.get_default_dtype())
    weights = 1.0 / counts[labels]
    return weights / weights.sum()


def expected_shares(probabilities: Tensor) -> Tensor:
    """Return the shares of the predicted classes, with one added to every count: N×k in, k out."""
    counts = torch.bincount(probabilities.argmax(dim=1), minlength=NUM_CLASSES) + 1.0
    return counts / counts.sum()


class Objective:
    """The objective of a fit.

    Args:
        model: the source model on features (``GivenFeatures`` instead of f), in evaluation mode; not changed.
        evidence: the training data, on the model's device.
        weights: weights of the terms.
    """

    def __init__(self, model: PrototypeClassifier, evidence: Evidence, weights: Weights) -> None:
        self._evidence, self._weights = evidence, weights
        self._start = [value.detach().clone() for value in trained(model)]
        self._counted = label_weights(evidence.labels).to(evidence.labelled)
        with torch.no_grad():
            self._shares = expected_shares(model.embed(evidence.rest)[1]) if len(evidence.rest) else None

    def __call__(self, model: PrototypeClassifier) -> Tensor:
        """Return the objective's value for a model, a scalar with gradients to ``trained(model)``."""
        evidence, weights = self._evidence, self._weights
        losses = F.cross_entropy(self._logits(model, evidence.labelled), evidence.labels, reduction="none")
        value = (self._counted * losses).sum()
        if len(evidence.source) and weights.source:
            logits = model.prototypes(model.network(evidence.source))
            value = value + weights.source * F.cross_entropy(logits, evidence.source_labels)
        if self._shares is not None and weights.rest:
            p = torch.softmax(self._logits(model, evidence.rest), dim=1)
            mean = p.mean(dim=0)
            away = (mean * (mean.clamp(min=1e-12) / self._shares).log()).sum()
            value = value + weights.rest * (entropy(p).mean() + away)
        for now, before in zip(trained(model), self._start, strict=True):
            size = before.square().sum()
            moved = (now - before).square().sum()
            value = value + 0.5 * weights.hold * moved / torch.where(size > 0, size, torch.ones_like(size))
        return value

    def _logits(self, model: PrototypeClassifier, features: Tensor) -> Tensor:
        return decision_logits(model.prototypes(model.network(features)), model.decision)


def trained(model: PrototypeClassifier) -> list[nn.Parameter]:
    """Return the parameters that a fit changes: those of g and M."""
    return [*model.network.head.parameters(), *model.prototypes.parameters()]


def fit(
    model: PrototypeClassifier, evidence: Evidence, weights: Weights, iterations: int = ITERATIONS
) -> PrototypeClassifier:
    """Fit g and M.

    Args:
        model: the source model on features; not changed.
        evidence: the training data.
        weights: weights of the objective's terms.
        iterations: maximum number of L-BFGS iterations.

    Returns:
        A new model on features, in evaluation mode. It can predict every labelled class.
    """
    fitted = copy.deepcopy(model).eval()
    fitted.decision.possible[evidence.labels.unique()] = True
    objective = Objective(fitted, evidence, weights)
    parameters = trained(fitted)
    optimiser = torch.optim.LBFGS(parameters, max_iter=iterations, line_search_fn="strong_wolfe")

    def value() -> Tensor:
        optimiser.zero_grad()
        found = objective(fitted)
        found.backward()
        return found

    with torch.enable_grad():
        optimiser.step(value)
    return fitted


def folds(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Divide labelled pictures into stratified folds.

    Args:
        labels: n int64.
        count: number of folds.
        seed: seed of the order within each class.

    Returns:
        The fold of each picture, n int64 in [0, count).
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    found, place = np.empty(len(labels), np.int64), 0
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        found[members] = (place + np.arange(len(members))) % count
        place += len(members)  # the next class continues at the next fold, so that folds have equal sizes
    return found


def first_of_the_best(right: Sequence[NDArray[np.bool_]]) -> int:
    """Return the first candidate within one standard error of the best (Breiman et al. 1984).

    Args:
        right: for each candidate, in order of preference, whether it was right about each of n pictures.

    Returns:
        The candidate's index. The standard error is that of the paired difference from the best, over pictures.
    """
    shares = [float(one.mean()) for one in right]
    best = right[shares.index(max(shares))].astype(np.float64)
    for place, one in enumerate(right):
        difference = best - one
        error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else 0.0
        if difference.mean() <= error + 1e-9:  # a difference of one picture is one standard error, up to rounding
            return place
    raise AssertionError("the best does not beat itself")
