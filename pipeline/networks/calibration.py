"""Temperature scaling: the temperature that calibrates confidence (Guo et al., ICML 2017).

It is fitted on the source's test part, never on target labels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

RANGE = (0.05, 20.0)
"""Range of temperatures. Outside, predictions are certain, or uniform, for every picture."""


def fitted_temperature(p: Floats, labels: NDArray[np.int64]) -> float:
    """Fit the temperature with the smallest cross entropy; without pictures, return 1.

    Pictures of a class with probability 0 are ignored.

    Args:
        p: class probabilities, N×k float.
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
    """Return softmax(log p / T) of each row of ``p`` (N×k), N×k float64. The order of the classes does not change."""
    with np.errstate(divide="ignore"):
        logits = np.log(p.astype(np.float64)) / temperature
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    scaled: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return scaled
