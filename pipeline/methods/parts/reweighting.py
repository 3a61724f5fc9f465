"""How often each class occurs in the target, and source pictures weighted as if their classes occurred as often."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.labels import NUM_CLASSES
from pipeline.losses.classification import class_shares

ITERATIONS = 1000
TOLERANCE = 1e-6
"""A change of every share below it ends the iteration."""


def estimated_shares(probabilities: Tensor, prior: Tensor) -> Tensor:
    """The target's class shares, k float, by expectation maximisation (Saerens et al., Neural Computation 2002).

    probabilities: N×k float, of a model for the target's pictures. prior: k float, the shares that the model was
    trained with. They are right where the classes look alike in both domains and the probabilities are calibrated. A
    class without a prior keeps the share 0, and so does one that less than half a picture would be of.
    """
    posterior, prior = probabilities.double(), prior.double()
    shares = prior
    for _ in range(ITERATIONS):
        weighted = posterior * torch.where(prior > 0, shares / prior.clamp(min=1e-12), 0.0)
        before, shares = shares, (weighted / weighted.sum(dim=1, keepdim=True).clamp(min=1e-12)).mean(dim=0)
        if bool((shares - before).abs().max() < TOLERANCE):
            break
    # The iteration only comes near to 0: less than half a picture is none.
    return torch.where(shares * len(posterior) < 0.5, 0.0, shares).float()


def class_ratios(source_labels: Tensor, target_labels: Tensor, cap: float) -> Tensor:
    """Share in the target over share in the source of each class, at most ``cap``: k float; without a source share 0.

    labels: int64, the target's are pseudo-labels.
    """
    source, target = class_shares(source_labels), class_shares(target_labels)
    return torch.where(source > 0, target / source.clamp(min=1e-12), 0.0).clamp(max=cap)


def picture_weights(ratios: Tensor, labels: Tensor) -> Tensor:
    """The weight of each picture of a batch (S int64) by its class; they sum to 1, and are alike where all are 0."""
    weights = ratios[labels]
    total = weights.sum()
    return torch.where(total > 0, weights / total.clamp(min=1e-12), 1.0 / len(labels))


def one_hot(labels: Tensor) -> Tensor:
    """N×k float, 1 where a picture is of a class. labels: N int64."""
    return F.one_hot(labels, NUM_CLASSES).float()
