"""A few labels: g and M fitted on them, on the unlabelled rest and on what the source model knew.

f stays; everything is on features of it. The fit minimises, over all weights θ of g and M,

    Σ_i w_i·CE(p(x_i), y_i)                    the labels; each class weighs the same
  + s · mean CE(softmax(z·Mᵀ), y)              pictures of the source, where they are at hand
  + u · (mean H(p) + KL(mean p ‖ π))           the unlabelled rest: sure of each picture, varied over all of them
  + h/2 · Σ_t ‖θ_t − θ⁰_t‖² / ‖θ⁰_t‖²          how firmly each tensor is held at the source model's, θ⁰

p is what the decision makes of z = g(f(x)), logit adjustment included; batch norms keep the source model's statistics.
π are the shares of the classes among the rest as the source model predicts them, each class counted once more
(Laplace), and stay fixed. There is no chance in it: the same pictures give the same weights, by L-BFGS over all
pictures at once (Liu and Nocedal 1989).

The label term alone is a maximum a posteriori fit of a classifier with a Gaussian prior at the source's; the third is
information maximisation (Shi and Sha, ICML 2012), semi-supervised by the first (Grandvalet and Bengio, NeurIPS 2004).
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
"""Of L-BFGS. More change what is learned by heart, not what is predicted of the rest."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a fit learns from; all features are f(x), float ·×D.

    Attributes:
        labelled: of the labelled pictures, n×D; several views of a picture may be among them.
        labels: n int64.
        rest: of pictures without a label, R×D.
        source: of the source's pictures, S×D; empty where they are not at hand.
        source_labels: S int64.
    """

    labelled: Tensor
    labels: Tensor
    rest: Tensor
    source: Tensor
    source_labels: Tensor


@dataclass(frozen=True)
class Weights:
    """Of the terms beside that of the labels.

    Attributes:
        source: s.
        rest: u.
        hold: h.
    """

    source: float = 1.0
    rest: float = 1.0
    hold: float = 1.0


def label_weights(labels: Tensor) -> Tensor:
    """Weights by which each class that occurs counts the same: n int64 in, n float that sum to 1 out."""
    counts = torch.bincount(labels, minlength=NUM_CLASSES).to(torch.get_default_dtype())
    weights = 1.0 / counts[labels]
    return weights / weights.sum()


def expected_shares(probabilities: Tensor) -> Tensor:
    """Shares of the predicted classes, each counted once more: N×k in, k out."""
    counts = torch.bincount(probabilities.argmax(dim=1), minlength=NUM_CLASSES) + 1.0
    return counts / counts.sum()


class Objective:
    """What a fit minimises.

    Args:
        model: the source model, on features (``GivenFeatures`` in the place of f), in evaluation mode; it stays.
        evidence: what is learned from, on the model's device.
        weights: of the terms.
    """

    def __init__(self, model: PrototypeClassifier, evidence: Evidence, weights: Weights) -> None:
        self._evidence, self._weights = evidence, weights
        self._start = [value.detach().clone() for value in trained(model)]
        self._counted = label_weights(evidence.labels).to(evidence.labelled)
        with torch.no_grad():
            self._shares = expected_shares(model.embed(evidence.rest)[1]) if len(evidence.rest) else None

    def __call__(self, model: PrototypeClassifier) -> Tensor:
        """Its value at a model, a scalar with gradients to ``trained(model)``."""
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
    """The weights that a fit moves: of g and M."""
    return [*model.network.head.parameters(), *model.prototypes.parameters()]


def fit(
    model: PrototypeClassifier, evidence: Evidence, weights: Weights, iterations: int = ITERATIONS
) -> PrototypeClassifier:
    """Fit g and M.

    Args:
        model: the source model on features; it stays as it is.
        evidence: what is learned from.
        weights: of the terms.
        iterations: of L-BFGS, at most.

    Returns:
        Another model on features, in evaluation mode. Every labelled class can be predicted by it.
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
    """Divide labelled pictures into parts in which each class comes as evenly as can be.

    Args:
        labels: n int64.
        count: how many parts.
        seed: of the order within a class.

    Returns:
        The part of each, n int64 in [0, count).
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    found, place = np.empty(len(labels), np.int64), 0
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        found[members] = (place + np.arange(len(members))) % count
        place += len(members)  # the next class goes on where this one ended: parts are alike in size, too
    return found


def first_of_the_best(right: Sequence[NDArray[np.bool_]]) -> int:
    """The first candidate that the best one does not beat by more than a standard error (Breiman et al. 1984).

    Args:
        right: of each candidate, in the order of preference, whether it was right about each of n pictures.

    Returns:
        Its place. The standard error is that of the mean difference from the best, picture by picture.
    """
    shares = [float(one.mean()) for one in right]
    best = right[shares.index(max(shares))].astype(np.float64)
    for place, one in enumerate(right):
        difference = best - one
        error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else 0.0
        if difference.mean() <= error + 1e-9:  # a single picture more is one standard error, up to rounding
            return place
    raise AssertionError("the best does not beat itself")
