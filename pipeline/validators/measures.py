"""What validators look at, and how sure, how varied and how clustered predictions are. All logarithms are natural."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

TEMPERATURE = 0.05
"""Of the soft neighbourhood density, as its authors set it."""


@dataclass(frozen=True)
class ValidatorInput:
    """What a model makes of pictures of the target, without labels, and of the source's test part, with them.

    Attributes:
        embeddings: of the target's pictures, N×d.
        probabilities: of the target's pictures, N×k.
        source_embeddings: of the source's pictures, n×d.
        source_probabilities: of the source's pictures, n×k.
        source_labels: n int64.
    """

    embeddings: Floats
    probabilities: Floats
    source_embeddings: Floats
    source_probabilities: Floats
    source_labels: NDArray[np.int64]


def entropy(p: Floats) -> float:
    """Mean entropy of the predictions p (N×k), in [0, log k]: 0 where every picture is one class for certain."""
    return float(-times_log(p.astype(np.float64)).sum(axis=1).mean()) + 0.0  # no negative zero


def information(p: Floats) -> float:
    """Entropy of the mean prediction less the mean entropy of the predictions p (N×k), in [0, log k].

    Large where predictions are sure of each picture and varied over all (information maximisation; Shi and Sha, ICML
    2012); 0 where all pictures are predicted alike.
    """
    return float(-times_log(p.astype(np.float64).mean(axis=0)).sum()) - entropy(p)


def neighbourhood_density(p: Floats) -> float:
    """Soft neighbourhood density (Saito et al., ICCV 2021): the mean entropy of each picture's similarities to others.

    Large where pictures lie in dense groups of like ones. As in the paper (sec. 3.2) a picture is what is predicted of
    it, made a unit vector.

    Args:
        p: class probabilities, N×k.

    Returns:
        At most log(N − 1); 0 for a single picture.
    """
    if len(p) < 2:
        return 0.0
    unit = _unit_rows(p)
    similarity = unit @ unit.T / TEMPERATURE
    np.fill_diagonal(similarity, -np.inf)
    weights = np.exp(similarity - similarity.max(axis=1, keepdims=True))
    return float(-times_log(weights / weights.sum(axis=1, keepdims=True)).sum(axis=1).mean())


def centroid_silhouette(z: Floats, p: Floats) -> float:
    """Mean over pictures of (b − a) / max(a, b), the simplified silhouette of Hruschka et al. (2004).

    a is the cosine distance to the centroid of the class predicted for the picture, b that to the nearest centroid of
    another class.

    Args:
        z: embeddings, N×d.
        p: class probabilities, N×k.

    Returns:
        In [−1, 1]; −1 where one class is predicted for all.
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
    """Share of pictures whose most probable class (p: N×k) is their label (N); without pictures 0."""
    return float((p.argmax(axis=1) == labels).mean()) if len(labels) else 0.0


def times_log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """x·log x, with 0 at 0."""
    return values * np.log(np.where(values > 0, values, 1.0))


def _unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float64] = vectors.astype(np.float64) / np.maximum(lengths, 1e-12)
    return unit
