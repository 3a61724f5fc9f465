"""Estimates of the target's class shares, and weights of source pictures that match them."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.labels import NUM_CLASSES
from pipeline.losses.classification import class_shares

ITERATIONS = 1000
TOLERANCE = 1e-6
"""The iteration ends when no share changes by more."""


def estimated_shares(probabilities: Tensor, prior: Tensor) -> Tensor:
    """Estimate the target's class shares by expectation maximisation (Saerens et al., Neural Computation 2002).

    The estimate assumes that p(x | class) is the same in both domains and that the probabilities are calibrated.

    Args:
        probabilities: a model's predictions for the target's pictures, N×k float.
        prior: the class shares that the model was trained with, k float.

    Returns:
        k float. Classes without a prior, and those with less than half a picture, have share 0.
    """
    posterior, prior = probabilities.double(), prior.double()
    shares = prior
    for _ in range(ITERATIONS):
        weighted = posterior * torch.where(prior > 0, shares / prior.clamp(min=1e-12), 0.0)
        before, shares = shares, (weighted / weighted.sum(dim=1, keepdim=True).clamp(min=1e-12)).mean(dim=0)
        if bool((shares - before).abs().max() < TOLERANCE):
            break
    # The iteration approaches 0 but never reaches it; count less than half a picture as none.
    return torch.where(shares * len(posterior) < 0.5, 0.0, shares).float()


def adjusted_prior(trained_shares: Tensor, logit_adjustment: float) -> Tensor:
    """Return the class prior of predictions after logit adjustment: shares^(1 − τ), k float that sum to 1.

    Args:
        trained_shares: class shares in training, class weights included, k float.
        logit_adjustment: τ.
    """
    prior = torch.where(trained_shares > 0, trained_shares ** (1.0 - logit_adjustment), 0.0)
    return prior / prior.sum()


def class_ratios(source_labels: Tensor, target_labels: Tensor, cap: float) -> Tensor:
    """Return each class's share in the target divided by its share in the source (Li and Deng, 2018 and 2020).

    Args:
        source_labels: S int64.
        target_labels: pseudo-labels, T int64.
        cap: the largest ratio.

    Returns:
        k float; 0 for a class without source pictures.
    """
    source, target = class_shares(source_labels), class_shares(target_labels)
    return torch.where(source > 0, target / source.clamp(min=1e-12), 0.0).clamp(max=cap)


def picture_weights(ratios: Tensor, labels: Tensor) -> Tensor:
    """Return the weights of a batch's pictures by their classes.

    Args:
        ratios: the weight of each class, k float.
        labels: S int64.

    Returns:
        S float that sum to 1; equal weights if all ratios are 0.
    """
    weights = ratios[labels]
    total = weights.sum()
    return torch.where(total > 0, weights / total.clamp(min=1e-12), 1.0 / len(labels))


def one_hot(labels: Tensor) -> Tensor:
    """One-hot encode labels: N int64 in, N×k float out."""
    return F.one_hot(labels, NUM_CLASSES).float()
