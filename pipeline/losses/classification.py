"""Cross entropy against a prototype matrix, weighted by class (paper, eqs. 2, 3, 8 and 13).

A mean over no samples (if none is trusted) is exactly 0, and its gradient is 0, not NaN.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.config.section import Balance, ClassWeights
from pipeline.labels import NUM_CLASSES

BALANCE = Balance()

SOURCE_POWER, TARGET_POWER = 2, 1
"""Exponents of ``class_weights`` with form ``code``, on the source and on the target."""


def weighted_cross_entropy(z: Tensor, matrix: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Mean of w_y · CE(softmax(z·Mᵀ), y): eqs. 2, 3, the prototype terms of eqs. 5, 6, and eq. 8.

    The mean divides by the number of samples, as printed in the paper (eq. 8 prints a sum), not by the sum of the
    weights.

    Args:
        z: projections, N×d float, unit rows.
        matrix: the prototype matrix M, k×d float.
        labels: N int64.
        weights: class weights (eq. 13), k float.

    Returns:
        A scalar; without samples 0.
    """
    if len(labels) == 0:
        return _zero_of(z, matrix)
    losses = F.cross_entropy(z @ matrix.T, labels, reduction="none")
    return (weights[labels] * losses).mean()


def class_shares(labels: Tensor) -> Tensor:
    """Return the share of each class among ``labels`` (N int64), k float; without labels all 0."""
    counts = torch.bincount(labels, minlength=NUM_CLASSES).float()
    return counts / counts.sum().clamp(min=1.0)


def class_weights(shares: Tensor, form: ClassWeights, code_power: int, balance: Balance = BALANCE) -> Tensor:
    """Compute class weights from the class shares of a domain.

    Args:
        shares: k float; all 0 if unknown.
        form: ``printed``: eq. 13, 1 − share². ``code``: as in the released code, (1 − share)^code_power. ``balanced``:
            (1 / (c·share))^exponent, where c is the number of classes that occur, at most ``balance.cap``; with
            exponent 1 all classes have the same total weight (King and Zeng 2001; square root: Mahajan et al., ECCV
            2018). ``none``: 1 for all (the paper's ablation).
        code_power: ``SOURCE_POWER`` or ``TARGET_POWER``.
        balance: exponent and cap of balanced weights.

    Returns:
        k float. With balanced weights, classes that do not occur have 1. If all shares are 0, all weights are 1.
    """
    occurs = shares > 0
    if form == "none" or not bool(occurs.any()):
        return torch.ones_like(shares)
    if form == "printed":
        return 1.0 - shares**2
    if form == "code":
        return (1.0 - shares) ** code_power
    weights = (1.0 / (occurs.sum() * shares.clamp(min=1e-12))) ** balance.exponent
    return torch.where(occurs, weights.clamp(max=balance.cap), 1.0)


def source_weights(labels: Tensor, form: ClassWeights, balance: Balance) -> tuple[Tensor, Tensor]:
    """Compute the class weights of a training on the source.

    Args:
        labels: labels of the training pictures, N int64.
        form: as in ``class_weights``.
        balance: as in ``class_weights``.

    Returns:
        The weights, k float; and each class's share of the total weight, k float with sum 1 (without pictures all 0).
        ``Decision.adjusted`` takes the second.
    """
    shares = class_shares(labels)
    weights = class_weights(shares, form, SOURCE_POWER, balance)
    weighted = shares * weights
    return weights, weighted / weighted.sum().clamp(min=1e-12)


def _zero_of(*tensors: Tensor) -> Tensor:
    """Return a 0 that depends on ``tensors``, so that ``backward`` works and gives gradients of 0."""
    return torch.stack([tensor.sum() * 0.0 for tensor in tensors]).sum()
