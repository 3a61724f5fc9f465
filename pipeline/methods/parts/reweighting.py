"""Source pictures weighted as if the source's classes were as frequent as the target's (Li and Deng, 2018 and 2020)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.labels import NUM_CLASSES
from pipeline.losses.classification import class_shares


def class_ratios(source_labels: Tensor, target_labels: Tensor, cap: float) -> Tensor:
    """Share in the target over share in the source of each class, at most ``cap``: k float; without a source share 0.

    labels: int64, the target's are pseudo-labels.
    """
    source, target = class_shares(source_labels), class_shares(target_labels)
    return torch.where(source > 0, target / source.clamp(min=1e-12), 0.0).clamp(max=cap)


def distribution(ratios: Tensor, labels: Tensor) -> Tensor:
    """The weight of each picture of a batch (S int64) by its class; they sum to 1, and are alike where all are 0."""
    weights = ratios[labels]
    total = weights.sum()
    return torch.where(total > 0, weights / total.clamp(min=1e-12), 1.0 / len(labels))


def members(labels: Tensor) -> Tensor:
    """N×k float, 1 where a picture is of a class. labels: N int64."""
    return F.one_hot(labels, NUM_CLASSES).float()
