"""Pseudo-labels and their adaptive thresholds (eq. 14) (paper, sec. 3.5)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.labels import NUM_CLASSES


@dataclass(frozen=True)
class PseudoLabels:
    """Pseudo-labels of the whole target training set.

    labels: N int64, argmax. confidence: N float, max softmax. thresholds: k float, eq. 14; NaN-free: a class that
    nobody is predicted as has the threshold +inf. trusted: N bool, confidence ≥ the threshold of its class.
    """

    labels: Tensor
    confidence: Tensor
    thresholds: Tensor
    trusted: Tensor


def assign(probabilities: Tensor, beta: float) -> PseudoLabels:
    """Pseudo-label every target sample from its probabilities under M_t (N×k float) and select the trusted ones."""
    confidence, labels = probabilities.max(dim=1)
    thresholds = adaptive_thresholds(confidence, labels, beta)
    return PseudoLabels(labels, confidence, thresholds, confidence >= thresholds[labels])


def adaptive_thresholds(confidence: Tensor, labels: Tensor, beta: float) -> Tensor:
    """Eq. 14: threshold_i = avgc_i + (maxc_i − avgc_i)·(1 − avgc_i^β), k float; +inf for a class nobody is given.

    confidence: N float in (0, 1]; labels: N int64.
    """
    # double: the mean of equal confidences must not round above them, or a class would trust none of its samples.
    confidence = confidence.double()
    counts = torch.bincount(labels, minlength=NUM_CLASSES)
    totals = torch.zeros(NUM_CLASSES, dtype=torch.double, device=labels.device).index_add_(0, labels, confidence)
    largest = torch.zeros_like(totals).scatter_reduce_(0, labels, confidence, reduce="amax")
    average = torch.minimum(totals / counts.clamp(min=1), largest)
    thresholds = average + (largest - average) * (1.0 - average**beta)
    return torch.where(counts > 0, torch.minimum(thresholds, largest), torch.inf).float()
