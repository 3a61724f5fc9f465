"""Scores on cases worked by hand, the bootstrap against resampling pictures, and the oracle's rules."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score

from pipeline.evaluation import scores
from pipeline.evaluation.records import Oracle

LABELS = np.array([0, 0, 0, 1, 1, 3])
PREDICTED = np.array([0, 0, 1, 1, 1, 5])


def test_score_by_hand() -> None:
    score = scores.score(LABELS, PREDICTED)
    assert score.accuracy == pytest.approx(4 / 6)
    assert [*score.f1] == [pytest.approx(0.8), pytest.approx(0.8), None, 0.0, None, 0.0, None]
    assert score.balanced_accuracy == pytest.approx((2 / 3 + 1.0 + 0.0) / 3)
    assert score.macro_f1 == pytest.approx((0.8 + 0.8 + 0.0) / 3)  # over the classes that occur as labels
    assert score.support == (3, 2, 0, 1, 0, 0, 0)
    assert score.confusion[0][:2] == (2, 1)
    assert score.confusion[3][5] == 1
    assert sum(map(sum, score.confusion)) == 6


def test_f1_and_confusion_are_scikit_learns() -> None:
    rng = np.random.Generator(np.random.PCG64(2))
    labels, predicted = rng.integers(0, 6, 200), rng.integers(0, 6, 200)
    score = scores.score(labels, predicted)
    assert score.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, predicted))
    expected = f1_score(labels, predicted, labels=range(6), average=None)
    assert [*score.f1] == [*(pytest.approx(value) for value in expected), None]
    assert [*map(list, score.confusion)] == confusion_matrix(labels, predicted, labels=range(7)).tolist()


def test_interval_is_that_of_resampled_pictures() -> None:
    right = np.array([True] * 70 + [False] * 30)
    rng = np.random.Generator(np.random.PCG64(1))
    resampled = np.array([rng.choice(right, 100).mean() for _ in range(4000)])
    low, high = scores.bootstrap_interval(0.7, 100, resamples=4000, seed=0)
    assert (low, high) == pytest.approx(tuple(np.quantile(resampled, [0.025, 0.975])), abs=0.011)
    assert scores.bootstrap_interval(0.7, 100, 4000, seed=0) == (low, high)
    assert scores.bootstrap_interval(1.0, 50, 100, seed=0) == (1.0, 1.0)


def test_interval_narrows_with_the_number_of_pictures() -> None:
    widths = [np.ptp(scores.bootstrap_interval(0.6, count, 2000, seed=0)) for count in (20, 200, 2000)]
    assert widths[0] > widths[1] > widths[2] > 0


def test_oracle_is_the_best_epoch_and_the_first_of_equals() -> None:
    by_epoch = np.array([[0, 0, 0, 0], [0, 1, 2, 0], [0, 1, 2, 0], [0, 1, 0, 0]], dtype=np.uint8)
    labels = np.array([0, 1, 2, 3])
    assert scores.oracle(labels, by_epoch) == Oracle(accuracy=0.75, epoch=1)
    assert scores.accuracy_by_epoch(labels, by_epoch) == [0.25, 0.75, 0.75, 0.5]


def test_tsne_keeps_two_far_clusters_apart_and_is_repeatable() -> None:
    rng = np.random.Generator(np.random.PCG64(0))
    centres = np.repeat(np.eye(2, 8, dtype=np.float32) * 10, 30, axis=0)
    z = (centres + rng.normal(size=(60, 8))).astype(np.float32)
    points = scores.tsne(z, seed=0)
    assert points.shape == (60, 2)
    gap = np.linalg.norm(points[:30].mean(0) - points[30:].mean(0))
    spread = max(np.linalg.norm(points[:30] - points[:30].mean(0), axis=1).max(), 1e-9)
    assert gap > spread
    np.testing.assert_array_equal(points, scores.tsne(z, seed=0))
