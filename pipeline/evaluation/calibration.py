"""How far confidence can be believed, and the temperature that mends it (Guo et al., ICML 2017).

p: class probabilities, N×k float. labels: N int64. The temperature is fitted on the source's test part, never on labels
of a target: what is shown of a target with labels is only measured.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

BINS = 15
"""Of the expected calibration error, as published: of equal width."""

RANGE = (0.05, 20.0)
"""Temperatures that are looked at: beyond, predictions are certain or even for every picture."""


def temperature(p: Floats, labels: NDArray[np.int64]) -> float:
    """The temperature with the least cross entropy; 1 where there is no picture.

    Pictures of a class that cannot be predicted (p = 0) are left out.

    Args:
        p: Class probabilities, N×k float.
        labels: N int64.
    """
    from scipy.optimize import minimize_scalar

    possible = np.take_along_axis(p, labels[:, None], axis=1).squeeze(1) > 0
    if not possible.any():
        return 1.0
    rows, chosen = p[possible].astype(np.float64), labels[possible, None]

    def cross_entropy(log_temperature: float) -> float:
        scaled = np.take_along_axis(rescaled(rows, float(np.exp(log_temperature))), chosen, axis=1)
        return float(-np.log(np.maximum(scaled, 1e-12)).mean())

    found = minimize_scalar(cross_entropy, bounds=tuple(np.log(RANGE)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def rescaled(p: Floats, temperature: float) -> NDArray[np.float64]:
    """softmax(log p / T) of every row of ``p`` (N×k): N×k float64; the order of a picture's classes stays."""
    with np.errstate(divide="ignore"):
        logits = np.log(p.astype(np.float64)) / temperature
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    scaled: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return scaled


def bins(p: Floats, labels: NDArray[np.int64]) -> pd.DataFrame:
    """By confidence, a row a bin that has pictures: its ``count``, mean ``confidence`` and ``accuracy``.

    Args:
        p: Class probabilities, N×k float.
        labels: N int64.
    """
    confidence, right = p.max(axis=1), p.argmax(axis=1) == labels
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    pictures = pd.DataFrame({"bin": place, "confidence": confidence.astype(np.float64), "accuracy": right})
    groups = pictures.groupby("bin")
    table = groups.mean()
    table.insert(0, "count", groups.size())
    return table.reset_index(drop=True)


def expected_error(p: Floats, labels: NDArray[np.int64]) -> float:
    """The expected calibration error: mean over pictures of |accuracy − confidence| of their bin, in [0, 1].

    Args:
        p: Class probabilities, N×k float.
        labels: N int64.
    """
    table = bins(p, labels)
    return float((table["count"] * (table["accuracy"] - table["confidence"]).abs()).sum() / table["count"].sum())
