"""What can be said of predictions without the target's labels: how sure, how varied and how clustered they are.

p: class probabilities, N×k float, of the target's pictures. z: embeddings, N×d float. All natural logarithms.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.data.outcome import Outcome, Predicted

Floats = NDArray[np.float32]

TEMPERATURE = 0.05
"""Of the soft neighbourhood density, as its authors set it."""


def entropy(p: Floats) -> float:
    """Mean entropy of the predictions, in [0, log k]: 0 where every picture is one class for certain."""
    return float(-_times_log(p.astype(np.float64)).sum(axis=1).mean()) + 0.0  # no negative zero


def information(p: Floats) -> float:
    """Entropy of the mean prediction less the mean entropy, in [0, log k]: sure of each picture, varied over all.

    (Information maximisation; Shi and Sha, ICML 2012.) It is 0 where all pictures are predicted alike.
    """
    return float(-_times_log(p.astype(np.float64).mean(axis=0)).sum()) - entropy(p)


def neighbourhood_density(z: Floats) -> float:
    """Soft neighbourhood density (Saito et al., ICCV 2021): the mean entropy of each picture's similarities to others.

    Large where pictures lie in dense groups of like ones; at most log(N − 1). Of a single picture: 0.
    """
    if len(z) < 2:
        return 0.0
    unit = z.astype(np.float64) / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)
    similarity = unit @ unit.T / TEMPERATURE
    np.fill_diagonal(similarity, -np.inf)
    weights = np.exp(similarity - similarity.max(axis=1, keepdims=True))
    return float(-_times_log(weights / weights.sum(axis=1, keepdims=True)).sum(axis=1).mean())


def judge(outcome: Outcome, source_labels: NDArray[np.int64], possible: Sequence[int]) -> dict[str, dict[str, float]]:
    """These and the accuracy on the source's test sample, ``before`` and ``after`` adaptation.

    source_labels: int64, one for each embedded picture of the source (``outcome.source.rows``). possible: the classes
    that may be predicted; the source's pictures of others are left out.
    """
    counted = np.isin(source_labels, possible)
    return {
        name: _measures(predicted, source_labels, counted)
        for name, predicted in (("before", outcome.before), ("after", outcome.after))
    }


def _measures(predicted: Predicted, source_labels: NDArray[np.int64], counted: NDArray[np.bool_]) -> dict[str, float]:
    right = (predicted.source_probabilities.argmax(axis=1) == source_labels)[counted]
    return {
        "entropy": entropy(predicted.probabilities),
        "information": information(predicted.probabilities),
        "neighbourhood_density": neighbourhood_density(predicted.target),
        "source_accuracy": float(right.mean()) if len(right) else 0.0,
    }


def _times_log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """x·log x, with 0 at 0."""
    return values * np.log(np.where(values > 0, values, 1.0))
