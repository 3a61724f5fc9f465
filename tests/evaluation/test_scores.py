"""Scores on cases worked by hand, the bootstrap against resampling pictures, and the oracle's rules."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score, recall_score

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


def test_intervals_are_those_of_resampled_pictures() -> None:
    labels = np.repeat([0, 1], [70, 30])
    predicted = np.where(np.arange(100) % 10 < 7, labels, 5)
    rng = np.random.Generator(np.random.PCG64(1))
    drawn = [rng.integers(0, 100, 100) for _ in range(4000)]
    accuracy = [(labels[rows] == predicted[rows]).mean() for rows in drawn]
    balanced = [recall_score(labels[rows], predicted[rows], labels=[0, 1], average="macro") for rows in drawn[:2000]]
    found = scores.bootstrap_intervals(labels, predicted, np.arange(100), resamples=4000, seed=0)
    assert found[0] == pytest.approx(tuple(np.quantile(accuracy, [0.025, 0.975])), abs=0.011)
    assert found[1] == pytest.approx(tuple(np.quantile(balanced, [0.025, 0.975])), abs=0.015)
    assert scores.bootstrap_intervals(labels, predicted, np.arange(100), 4000, seed=0) == found
    assert scores.bootstrap_intervals(labels, labels, np.arange(100), 100, seed=0) == ((1.0, 1.0), (1.0, 1.0))


def test_intervals_narrow_with_the_number_of_groups_and_not_of_their_like_pictures() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    labels = np.arange(2000) % 7
    predicted = np.where(rng.random(2000) < 0.6, labels, (labels + 1) % 7)

    def width(rows: np.ndarray, groups: np.ndarray) -> float:
        return float(np.ptp(scores.bootstrap_intervals(labels[rows], predicted[rows], groups, 2000, seed=0)[0]))

    few, many = np.arange(200), np.arange(2000)
    assert width(few, few) > 2 * width(many, many) > 0
    assert width(np.repeat(few, 3), np.repeat(few, 3)) == pytest.approx(width(few, few), rel=0.05)


def test_oracle_is_the_best_epoch_and_the_first_of_equals() -> None:
    by_epoch = np.array([[0, 0, 0, 0], [0, 1, 2, 0], [0, 1, 2, 0], [0, 1, 0, 0]], dtype=np.uint8)
    labels = np.array([0, 1, 2, 3])
    assert scores.oracle(labels, by_epoch) == Oracle(accuracy=0.75, balanced_accuracy=0.75, epoch=1)
    assert scores.scores_by_epoch(labels, by_epoch).accuracy.tolist() == [0.25, 0.75, 0.75, 0.5]
    twice = np.array([0, 0, 0, 2])
    assert scores.scores_by_epoch(twice, by_epoch[:1]).balanced_accuracy.tolist() == [0.5]


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
