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
    """Estimate the target's class shares by expectation maximisation (Saerens et al., Neural Computation 2002).

    They are right where the classes look alike in both domains and the probabilities are calibrated.

    Args:
        probabilities: of a model for the target's pictures, N×k float.
        prior: the shares that the model was trained with, k float.

    Returns:
        k float. A class without a prior has the share 0, and so has one that less than half a picture would be of.
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
    """Share in the target over share in the source of each class (Li and Deng, 2018 and 2020).

    Args:
        source_labels: S int64.
        target_labels: pseudo-labels, T int64.
        cap: the largest ratio.

    Returns:
        k float; 0 where the source has no picture of the class.
    """
    source, target = class_shares(source_labels), class_shares(target_labels)
    return torch.where(source > 0, target / source.clamp(min=1e-12), 0.0).clamp(max=cap)


def picture_weights(ratios: Tensor, labels: Tensor) -> Tensor:
    """Weigh the pictures of a batch by their classes.

    Args:
        ratios: of the classes, k float.
        labels: S int64.

    Returns:
        S float that sum to 1; where all ratios are 0 the weights are alike.
    """
    weights = ratios[labels]
    total = weights.sum()
    return torch.where(total > 0, weights / total.clamp(min=1e-12), 1.0 / len(labels))


def one_hot(labels: Tensor) -> Tensor:
    """Turn labels, N int64, into N×k float: 1 where a picture is of a class, else 0."""
    return F.one_hot(labels, NUM_CLASSES).float()
