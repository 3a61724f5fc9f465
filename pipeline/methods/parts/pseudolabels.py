"""Pseudo-labels and their adaptive thresholds (paper, sec. 3.5, eq. 14)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.labels import NUM_CLASSES


@dataclass(frozen=True)
class PseudoLabels:
    """Pseudo-labels of the whole target training set.

    Attributes:
        labels: the argmax, except for samples that keep a class alive (``Bounds.alive``), N int64.
        confidence: the largest probability, N float.
        thresholds: eq. 14, k float; +inf for a class that is never predicted.
        trusted: whether the confidence reaches the class's threshold, within ``Bounds``, N bool.
    """

    labels: Tensor
    confidence: Tensor
    thresholds: Tensor
    trusted: Tensor


@dataclass(frozen=True)
class Bounds:
    """Limits on the number of trusted samples per class, as multiples of N/k.

    They override the thresholds, as in class-balanced self-training (Zou et al., ECCV 2018).

    Attributes:
        floor: minimum; the most confident samples of the class are trusted.
        cap: maximum; None: no limit.
        alive: classes that must keep pseudo-labels, k bool. If such a class is never predicted, the samples with its
            highest probabilities get its label: as many as ``floor`` asks for, at least one. None: no such class.
    """

    floor: float = 0.0
    cap: float | None = None
    alive: Tensor | None = None


def assign(probabilities: Tensor, beta: float, bounds: Bounds = Bounds()) -> PseudoLabels:
    """Pseudo-label every target sample and select the trusted ones.

    Args:
        probabilities: predictions with M_t, N×k float.
        beta: β of eq. 14.
        bounds: limits on the number of trusted samples per class.
    """
    confidence, labels = probabilities.max(dim=1)
    thresholds = adaptive_thresholds(confidence, labels, beta)
    trusted = confidence >= thresholds[labels]
    even = len(labels) / NUM_CLASSES
    least = round(bounds.floor * even)
    most = len(labels) if bounds.cap is None else max(1, round(bounds.cap * even))
    for index in range(NUM_CLASSES):
        of_class = (labels == index).nonzero().squeeze(1)
        ranked = of_class[confidence[of_class].argsort(descending=True, stable=True)]
        trusted[ranked[:least]] = True
        trusted[ranked[most:]] = False
    if bounds.alive is not None:
        labels, trusted = _revived(probabilities, labels, trusted, bounds.alive, max(1, least))
    return PseudoLabels(labels, confidence, thresholds, trusted)


def _revived(
    probabilities: Tensor, labels: Tensor, trusted: Tensor, alive: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Give up to ``count`` trusted samples to each class of ``alive`` that has none.

    No sample is given twice, and no class loses its last sample.

    Returns:
        The new labels, and which samples are trusted.
    """
    labels, given = labels.clone(), torch.zeros_like(trusted)
    for index in (alive & (torch.bincount(labels, minlength=NUM_CLASSES) == 0)).nonzero().squeeze(1).tolist():
        for _ in range(count):
            several = torch.bincount(labels, minlength=NUM_CLASSES)[labels] > 1
            free = several & ~given
            if not bool(free.any()):
                break
            nearest = probabilities[:, index].masked_fill(~free, -1.0).argmax()
            labels[nearest], trusted[nearest], given[nearest] = index, True, True
    return labels, trusted


def adaptive_thresholds(confidence: Tensor, labels: Tensor, beta: float) -> Tensor:
    """Eq. 14: threshold_i = avgc_i + (maxc_i − avgc_i)·(1 − avgc_i^β).

    Args:
        confidence: N float in (0, 1].
        labels: N int64.
        beta: β.

    Returns:
        k float; +inf for a class without samples.
    """
    # In float64, the mean of equal confidences does not round above them, which would leave no trusted sample.
    confidence = confidence.double()
    counts = torch.bincount(labels, minlength=NUM_CLASSES)
    totals = torch.zeros(NUM_CLASSES, dtype=torch.double, device=labels.device).index_add_(0, labels, confidence)
    largest = torch.zeros_like(totals).scatter_reduce_(0, labels, confidence, reduce="amax")
    average = torch.minimum(totals / counts.clamp(min=1), largest)
    thresholds = average + (largest - average) * (1.0 - average**beta)
    return torch.where(counts > 0, torch.minimum(thresholds, largest), torch.inf).float()
