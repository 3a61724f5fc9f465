"""How sure, how varied and how clustered predictions are. p: class probabilities, N×k float. z: embeddings, N×d float.

All logarithms are natural.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

TEMPERATURE = 0.05
"""Of the soft neighbourhood density, as its authors set it."""


@dataclass(frozen=True)
class ValidatorInput:
    """Pictures of the target without labels, and pictures of the source's test part with them.

    embeddings N×d and probabilities N×k of the target's; source_embeddings n×d, source_probabilities n×k and
    source_labels (n int64) of the source's.
    """

    embeddings: Floats
    probabilities: Floats
    source_embeddings: Floats
    source_probabilities: Floats
    source_labels: NDArray[np.int64]


def entropy(p: Floats) -> float:
    """Mean entropy of the predictions, in [0, log k]: 0 where every picture is one class for certain."""
    return float(-times_log(p.astype(np.float64)).sum(axis=1).mean()) + 0.0  # no negative zero


def information(p: Floats) -> float:
    """Entropy of the mean prediction less the mean entropy, in [0, log k]: sure of each picture, varied over all.

    (Information maximisation; Shi and Sha, ICML 2012.) It is 0 where all pictures are predicted alike.
    """
    return float(-times_log(p.astype(np.float64).mean(axis=0)).sum()) - entropy(p)


def neighbourhood_density(z: Floats) -> float:
    """Soft neighbourhood density (Saito et al., ICCV 2021): the mean entropy of each picture's similarities to others.

    Large where pictures lie in dense groups of like ones; at most log(N − 1). Of a single picture: 0.
    """
    if len(z) < 2:
        return 0.0
    unit = _unit_rows(z)
    similarity = unit @ unit.T / TEMPERATURE
    np.fill_diagonal(similarity, -np.inf)
    weights = np.exp(similarity - similarity.max(axis=1, keepdims=True))
    return float(-times_log(weights / weights.sum(axis=1, keepdims=True)).sum(axis=1).mean())


def centroid_silhouette(z: Floats, p: Floats) -> float:
    """Mean over pictures of (b − a) / max(a, b), in [−1, 1].

    a: cosine distance to the centroid of the class predicted for the picture, b: to the nearest centroid of another
    class (the simplified silhouette of Hruschka et al., 2004). Of one predicted class: −1, the least there is.
    """
    classes, members = np.unique(p.argmax(axis=1), return_inverse=True)
    if len(classes) < 2:
        return -1.0
    unit = _unit_rows(z)
    centroids = _unit_rows(np.stack([unit[members == index].mean(axis=0) for index in range(len(classes))]))
    distances = 1.0 - unit @ centroids.T
    own = np.take_along_axis(distances, members[:, None], axis=1).squeeze(1)
    np.put_along_axis(distances, members[:, None], np.inf, axis=1)
    nearest = distances.min(axis=1)
    return float(((nearest - own) / np.maximum(np.maximum(nearest, own), 1e-12)).mean())


def accuracy(p: Floats, labels: NDArray[np.int64]) -> float:
    """Share of pictures whose most probable class is their label; of none: 0."""
    return float((p.argmax(axis=1) == labels).mean()) if len(labels) else 0.0


def times_log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """x·log x, with 0 at 0."""
    return values * np.log(np.where(values > 0, values, 1.0))


def _unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float64] = vectors.astype(np.float64) / np.maximum(lengths, 1e-12)
    return unit
