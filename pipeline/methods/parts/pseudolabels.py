"""Pseudo-labels and their adaptive thresholds (paper, sec. 3.5, eq. 14)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.labels import NUM_CLASSES


@dataclass(frozen=True)
class PseudoLabels:
    """Pseudo-labels of the whole target training set.

    Attributes:
        labels: N int64: the argmax, but for samples that keep a class alive.
        confidence: N float: the largest probability.
        thresholds: k float, eq. 14, never NaN: +inf for a class that nobody is predicted as.
        trusted: N bool: confidence ≥ the threshold of the class, within ``Bounds``.
    """

    labels: Tensor
    confidence: Tensor
    thresholds: Tensor
    trusted: Tensor


@dataclass(frozen=True)
class Bounds:
    """How many samples of a class are trusted, whatever its threshold; in shares of N/k, a class's even part.

    Floor and cap are as in class-balanced self-training (Zou et al., ECCV 2018).

    Attributes:
        floor: at least so many of its most confident samples.
        cap: at most so many; None: no limit.
        alive: k bool, classes that must not die out: one that nobody is predicted as is given the samples that most
            look like it, as many as the floor says and at least one. None: any class may.
    """

    floor: float = 0.0
    cap: float | None = None
    alive: Tensor | None = None


def assign(probabilities: Tensor, beta: float, bounds: Bounds = Bounds()) -> PseudoLabels:
    """Pseudo-label every target sample and select the trusted ones.

    Args:
        probabilities: of the samples under M_t, N×k float.
        beta: the exponent of eq. 14.
        bounds: how many samples of a class may be trusted.
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
    """Give up to ``count`` trusted samples to each class of ``alive`` that has died out.

    No sample goes to two of them, and no class gives its last one. Returns labels and trust as they then are.
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
        k float; +inf for a class that no sample has.
    """
    # double: the mean of equal confidences must not round above them, or a class would trust none of its samples.
    confidence = confidence.double()
    counts = torch.bincount(labels, minlength=NUM_CLASSES)
    totals = torch.zeros(NUM_CLASSES, dtype=torch.double, device=labels.device).index_add_(0, labels, confidence)
    largest = torch.zeros_like(totals).scatter_reduce_(0, labels, confidence, reduce="amax")
    average = torch.minimum(totals / counts.clamp(min=1), largest)
    thresholds = average + (largest - average) * (1.0 - average**beta)
    return torch.where(counts > 0, torch.minimum(thresholds, largest), torch.inf).float()
