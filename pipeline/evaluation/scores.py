"""Scores of predictions against labels. The only code, with the stage that calls it, that sees target labels."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.records import Metrics, Oracle
from pipeline.evaluation.resampling import Grouped
from pipeline.labels import NUM_CLASSES
from pipeline.locks import importing_joblib

Interval = tuple[float, float]


def score(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> Metrics:
    """Compute accuracy, F1 and confusion matrix, without intervals.

    Args:
        labels: true classes, N int64 (N ≥ 1).
        predicted: predicted classes, N int64.
    """
    cells = np.bincount(labels * NUM_CLASSES + predicted, minlength=NUM_CLASSES**2)
    matrix = cells.reshape(NUM_CLASSES, NUM_CLASSES)
    support = matrix.sum(axis=1)
    occurrences = support + matrix.sum(axis=0)
    f1 = 2.0 * np.diag(matrix) / np.maximum(occurrences, 1)
    return Metrics(
        accuracy=float((labels == predicted).mean()),
        balanced_accuracy=float((np.diag(matrix)[support > 0] / support[support > 0]).mean()),
        macro_f1=float(f1[support > 0].mean()),
        f1=tuple(float(value) if occurs else None for value, occurs in zip(f1, occurrences > 0, strict=True)),
        support=tuple(support.tolist()),
        confusion=tuple(map(tuple, matrix.tolist())),
        interval=None,
    )


def bootstrap_intervals(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], groups: NDArray[np.int64], resamples: int, seed: int
) -> tuple[Interval, Interval]:
    """Compute 95 % percentile bootstrap intervals (Efron and Tibshirani 1993, ch. 13).

    Args:
        labels: true classes, N int64 (N ≥ 1).
        predicted: predicted classes, N int64.
        groups: the group of each picture; groups are resampled as a whole, N int64
            (``pipeline.evaluation.resampling.units``).
        resamples: number of bootstrap resamples.
        seed: seed of the resampling.

    Returns:
        Lower and upper bound of accuracy, and of balanced accuracy.
    """
    right = Grouped.of((predicted == labels)[None], labels, groups)
    drawn = right.drawn(resamples, np.random.Generator(np.random.PCG64(seed)))[:, :, 0]
    accuracy, balanced = np.quantile(drawn, [0.025, 0.975], axis=1).T.clip(0.0, 1.0).tolist()
    return (accuracy[0], accuracy[1]), (balanced[0], balanced[1])


def score_with_intervals(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], groups: NDArray[np.int64], resamples: int, seed: int
) -> Metrics:
    """``score`` with ``bootstrap_intervals``; the arguments are those of the latter."""
    accuracy, balanced = bootstrap_intervals(labels, predicted, groups, resamples, seed)
    return score(labels, predicted).model_copy(update={"interval": accuracy, "balanced_interval": balanced})


def oracle(labels: NDArray[np.int64], predicted: NDArray[np.uint8]) -> Oracle:
    """Find the best epoch by test labels. It is reported separately, because no method may be selected by it.

    Args:
        labels: true classes, N int64.
        predicted: E×N uint8; row e: the classes predicted after e epochs.

    Returns:
        The earliest epoch with the best accuracy, and its scores.
    """
    by_epoch = scores_by_epoch(labels, predicted)
    accuracies = by_epoch.accuracy.tolist()
    best = accuracies.index(max(accuracies))
    return Oracle(accuracy=accuracies[best], balanced_accuracy=float(by_epoch.balanced_accuracy[best]), epoch=best)


class ByEpoch(NamedTuple):
    """Scores after 0, 1, … epochs, E float64 each."""

    accuracy: NDArray[np.float64]
    balanced_accuracy: NDArray[np.float64]


def scores_by_epoch(labels: NDArray[np.int64], predicted: NDArray[np.uint8]) -> ByEpoch:
    """Test accuracies after 0, 1, … epochs, one a row of ``predicted`` (E×N uint8)."""
    return ByEpoch(*Grouped.of(predicted == labels, labels, np.zeros(len(labels), dtype=np.int64)).means()[:, 0])


def tsne(projections: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """t-SNE coordinates, N×2 float32, of N×d projections (van der Maaten and Hinton 2008; the paper's Fig. 3)."""
    # Imported here: scikit-learn takes a second to load, which stages that only score need not wait for.
    with importing_joblib():
        from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(projections) - 1) / 3.0)
    # Half of scikit-learn's number of steps: of a few hundred points the divergence falls by a thousandth afterwards.
    embedding = TSNE(perplexity=perplexity, init="pca", max_iter=500, random_state=seed)
    coordinates: NDArray[np.float32] = embedding.fit_transform(projections)
    return coordinates
