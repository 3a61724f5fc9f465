"""Scores of predictions against labels. The only code, with the stage that calls it, that sees target labels."""

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.records import Metrics, Oracle
from pipeline.labels import NUM_CLASSES


def score(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> Metrics:
    """Accuracy, F1 and confusion matrix, without an interval of the accuracy.

    Args:
        labels: N int64 (N ≥ 1), the true classes.
        predicted: N int64, the predicted ones.
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


def bootstrap_interval(accuracy: float, count: int, resamples: int, seed: int) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of an accuracy.

    Resampling pictures that are right or wrong draws the number of right ones from a binomial distribution, so that
    number is drawn directly. Pictures count as independent: frames of one sequence make the true interval wider.

    Args:
        accuracy: share of the pictures that are right.
        count: pictures.
        resamples: how often they are drawn anew.
        seed: of the draws.

    Returns:
        The lower and the upper bound.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    draws = rng.binomial(count, accuracy, size=resamples) / count
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def oracle(labels: NDArray[np.int64], predicted: NDArray[np.uint8]) -> Oracle:
    """The best epoch by test labels, which an unsupervised method must not choose by; only ever a column of its own.

    Args:
        labels: N int64, the true classes.
        predicted: E×N uint8, row e the classes predicted after e epochs.

    Returns:
        The epoch and its accuracy; of equal ones the earliest.
    """
    accuracies = accuracy_by_epoch(labels, predicted)
    best = accuracies.index(max(accuracies))
    return Oracle(accuracy=accuracies[best], epoch=best)


def accuracy_by_epoch(labels: NDArray[np.int64], predicted: NDArray[np.uint8]) -> list[float]:
    """Test accuracy after 0, 1, … epochs, one a row of ``predicted`` (E×N uint8)."""
    return [float(value) for value in (predicted == labels[None]).mean(axis=1)]


def tsne(projections: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """t-SNE coordinates, N×2 float32, of N×d projections (van der Maaten and Hinton 2008; the paper's Fig. 3)."""
    # Imported here: scikit-learn takes a second to load, which stages that only score need not wait for.
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(projections) - 1) / 3.0)
    coordinates: NDArray[np.float32] = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(
        projections
    )
    return coordinates
