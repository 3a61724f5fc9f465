"""Whether one method is better than another on the same pictures: paired over pictures, and over targets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CHUNK = 200
"""Resamples drawn together, which bounds the memory."""


@dataclass(frozen=True)
class PairedDifference:
    """A mean difference and what the bootstrap says of it.

    Attributes:
        difference: the mean.
        low: the lower bound of its 95 % interval.
        high: the upper bound.
        p: the two-sided p value.
    """

    difference: float
    low: float
    high: float
    p: float


def paired_bootstrap(differences: NDArray[np.float64], resamples: int, seed: int) -> PairedDifference:
    """The percentile bootstrap over pictures of a mean difference (Efron and Tibshirani 1993, ch. 13).

    p is twice the share of resamples on the other side of 0 (with one more of each, so that it is never 0). Pictures
    count as independent, though frames of one sequence are not.

    Args:
        differences: N float64, one a picture: its mean over seeds of right (1) or wrong (0) by the first, less by the
            second.
        resamples: how often the pictures are drawn anew.
        seed: of the draws.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    count, means = len(differences), np.empty(resamples)
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        means[start : start + size] = differences[generator.integers(0, count, (size, count))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    below, above = (1 + (means <= 0).sum()) / (resamples + 1), (1 + (means >= 0).sum()) / (resamples + 1)
    return PairedDifference(float(differences.mean()), float(low), float(high), float(min(1.0, 2 * min(below, above))))


def sign_test(better: int, worse: int) -> float:
    """The two-sided p value of so many targets better and worse, where either were as likely; ties are left out."""
    from scipy.stats import binomtest

    return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
