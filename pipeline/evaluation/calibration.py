"""How far confidence can be believed, and the temperature that mends it (Guo et al., ICML 2017).

p: class probabilities, N×k float. labels: N int64. The temperature is fitted on the source's test part, never on labels
of a target: what is shown of a target with labels is only measured.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.data.outcome import Predictions
from pipeline.data.prepared import Indices

Floats = NDArray[np.floating[Any]]

BINS = 15
"""Of the expected calibration error, as published: of equal width."""

RANGE = (0.05, 20.0)
"""Temperatures that are looked at: beyond, predictions are certain or even for every picture."""


def temperature(p: Floats, labels: NDArray[np.int64]) -> float:
    """The temperature with the least cross entropy; 1 where there is no picture.

    Pictures of a class that cannot be predicted (p = 0) are left out.
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
    """softmax(log p / T) of every row: N×k; the order of a picture's classes stays."""
    with np.errstate(divide="ignore"):
        logits = np.log(p.astype(np.float64)) / temperature
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    scaled: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return scaled


def bins(p: Floats, labels: NDArray[np.int64]) -> pd.DataFrame:
    """By confidence, a row a bin that has pictures: ``count``, mean ``confidence``, ``accuracy``."""
    confidence, right = p.max(axis=1), p.argmax(axis=1) == labels
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    pictures = pd.DataFrame({"bin": place, "confidence": confidence.astype(np.float64), "accuracy": right})
    groups = pictures.groupby("bin")
    table = groups.mean()
    table.insert(0, "count", groups.size())
    return table.reset_index(drop=True)


def expected_error(p: Floats, labels: NDArray[np.int64]) -> float:
    """The expected calibration error: mean over pictures of |accuracy − confidence| of their bin, in [0, 1]."""
    table = bins(p, labels)
    return float((table["count"] * (table["accuracy"] - table["confidence"]).abs()).sum() / table["count"].sum())


def measured(
    predicted: Predictions,
    temperature: float,
    source_labels: NDArray[np.int64],
    rows: Indices,
    labels: NDArray[np.int64],
) -> tuple[dict[str, Any], pd.DataFrame]:
    """What the temperature does: errors as JSON values, and the bins of the target's test part.

    source_labels: of the source's sample. rows, labels: the target's test rows (int64) and their labels; none where it
    has no labels.
    """
    as_is = {"source": (predicted.source_probabilities, source_labels)}
    if len(rows):
        as_is["target"] = (predicted.probabilities[rows], labels)
    errors: dict[str, Any] = {"temperature": temperature, "source": None, "target": None}
    tables = [pd.DataFrame(columns=["scaled", "count", "confidence", "accuracy"])]
    for name, (p, truth) in as_is.items():
        if len(truth):
            scaled = rescaled(p, temperature)
            errors[name] = {"before": expected_error(p, truth), "after": expected_error(scaled, truth)}
            if name == "target":
                tables = [bins(p, truth).assign(scaled=False), bins(scaled, truth).assign(scaled=True)]
    return errors, pd.concat(tables)[["scaled", "count", "confidence", "accuracy"]]
