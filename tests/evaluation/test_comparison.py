"""Comparisons of two methods against drawing by hand, SciPy and simulated worlds in which neither is better."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from pipeline.evaluation.comparison import PairedDifference, compare, holm, mean_interval, sign_test
from pipeline.evaluation.resampling import Grouped, units

Ints = NDArray[np.int64]
SHARES = np.array([45, 20, 59, 25, 69, 28, 83]) / 329
"""Of the classes, about as in CK+."""


def predicted(right: NDArray[np.bool_], labels: Ints) -> Ints:
    """The label where it is right, else another class."""
    return np.where(right, labels, (labels + 1) % 7)


def world(
    generator: np.random.Generator, seeds: int, own: float, of_seed: float, of_both: float
) -> tuple[Ints, Ints, Ints, Ints]:
    """Two methods that are as good as each other on 93 sequences of three like frames: predictions, labels, groups.

    Args:
        generator: of all chance.
        seeds: how many.
        own: how much a method has sequences of its own that it is good at, with every seed.
        of_seed: how much a seed is good or bad for a method in all.
        of_both: how much chance there is in a seed and a sequence.
    """
    labels = generator.choice(7, 93, p=SHARES)
    difficulty = generator.normal(1, 1, 93)
    methods = []
    for _ in range(2):
        fit = difficulty + generator.normal(0, own, 93) + generator.normal(0, of_seed, (seeds, 1))
        right = fit + generator.normal(0, of_both, (seeds, 93)) > 0
        methods.append(np.repeat(predicted(right, labels), 3, axis=1))
    return methods[0], methods[1], np.repeat(labels, 3), np.repeat(np.arange(93), 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeds", "own", "of_seed", "of_both"),
    [(1, 1.0, 0.0, 0.0), (3, 1.0, 0.0, 0.5), (3, 0.0, 0.0, 1.0), (5, 0.7, 0.1, 0.7), (9, 0.5, 0.2, 1.0)],
)
def test_where_neither_is_better_one_in_twenty_is_called_so(
    seeds: int, own: float, of_seed: float, of_both: float
) -> None:
    generator = np.random.Generator(np.random.PCG64(6))
    found = [compare(*world(generator, seeds, own, of_seed, of_both), resamples=300) for _ in range(1000)]
    assert np.mean([one.accuracy.p < 0.05 for one in found]) == pytest.approx(0.05, abs=0.015)
    assert np.mean([one.balanced_accuracy.p < 0.05 for one in found]) == pytest.approx(0.05, abs=0.015)


def test_pictures_drawn_one_by_one_are_sure_of_what_is_chance() -> None:
    generator = np.random.Generator(np.random.PCG64(5))
    rejected = 0
    for _ in range(200):
        first, second, labels, groups = world(generator, 1, 1.0, 0.0, 0.0)
        rejected += compare(first, second, labels, np.arange(len(groups)), resamples=300).accuracy.p < 0.05
    assert rejected > 30


def test_one_seed_has_the_interval_of_scipys_bootstrap() -> None:
    generator = np.random.Generator(np.random.PCG64(1))
    labels = generator.integers(0, 7, 400)
    first, second = (predicted(generator.random(400) < share, labels) for share in (0.8, 0.6))
    found = compare(first, second, labels, np.arange(400)).accuracy
    differences = (first == labels).astype(float) - (second == labels)
    expected = stats.bootstrap((differences,), np.mean, n_resamples=4000, method="percentile", rng=0)
    assert found.difference == pytest.approx(100 * differences.mean())
    assert found.low == pytest.approx(100 * expected.confidence_interval.low, abs=0.6)
    assert found.high == pytest.approx(100 * expected.confidence_interval.high, abs=0.6)
    assert found.p < 1e-6


def test_seeds_that_decide_alone_are_compared_as_by_students_t() -> None:
    """Every picture of a seed is as good as the next one, so that nothing is left but the seeds' own differences."""
    labels = np.zeros(100, dtype=np.int64)
    first = np.stack([predicted(np.arange(100) < right, labels) for right in (84, 78, 82)])
    second = np.stack([predicted(np.arange(100) < right, labels) for right in (78, 76, 78)])
    # One group each half: the sums of all groups are alike, and drawing them changes nothing.
    groups = np.arange(100) // 50
    first, second = (np.concatenate([one[:, ::2], one[:, 1::2]], axis=1) for one in (first, second))
    found = compare(first, second, labels, groups).accuracy
    differences = np.array([6.0, 2.0, 4.0])
    expected = stats.ttest_1samp(differences, 0.0)
    assert found.difference == pytest.approx(differences.mean())
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6)
    interval = expected.confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_the_scores_of_a_draw_are_those_of_its_pictures() -> None:
    generator = np.random.Generator(np.random.PCG64(2))
    labels, groups = generator.choice(7, 60, p=SHARES), generator.integers(0, 12, 60)
    values = generator.normal(size=(2, 60))
    weights = generator.integers(0, 3, (4, 12)).astype(np.float64)
    found = Grouped.of(values, labels, groups).means(weights)
    for draw, counts in enumerate(weights.astype(int)):
        rows = np.repeat(np.arange(60), counts[groups])
        by_class = [values[:, rows[labels[rows] == label]] for label in np.unique(labels[rows])]
        np.testing.assert_allclose(found[0, draw], values[:, rows].mean(axis=1))
        np.testing.assert_allclose(found[1, draw], np.mean([one.mean(axis=1) for one in by_class], axis=0))


def test_rows_of_one_source_model_count_as_one() -> None:
    generator = np.random.Generator(np.random.PCG64(3))
    first, second, labels, groups = world(generator, 3, 0.7, 0.2, 0.7)
    once = compare(first, second, labels, groups)
    many = np.repeat(first, 3, axis=0), np.repeat(second, 3, axis=0)
    assert compare(many[0], many[1], labels, groups, starts=[0, 0, 0, 1, 1, 1, 2, 2, 2]) == once
    assert compare(many[0], many[1], labels, groups) != once
    with pytest.raises(ValueError, match="3 starts for 9 rows"):
        compare(many[0], many[1], labels, groups, starts=[0, 1, 2])


def test_what_has_one_row_is_compared_with_every_seed() -> None:
    first, second, labels, groups = world(np.random.Generator(np.random.PCG64(3)), 3, 0.7, 0.2, 0.7)
    repeated = np.stack([second[0]] * 3)
    assert compare(first, second[0], labels, groups) == compare(first, repeated, labels, groups)


def test_equal_predictions_have_no_difference_and_an_equal_gain_everywhere_is_certain() -> None:
    labels = np.arange(30) % 7
    same = compare(labels, labels, labels, np.arange(30)).accuracy
    assert (same.difference, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)
    better = compare(labels, (labels + 1) % 7, labels, np.arange(30)).balanced_accuracy
    assert (better.difference, better.low, better.high, better.p) == (100.0, 100.0, 100.0, 0.0)


@pytest.mark.parametrize("groups", [np.zeros(30), np.arange(29)])
def test_what_cannot_be_drawn_is_refused(groups: NDArray[np.float64]) -> None:
    labels = np.arange(30) % 7
    with pytest.raises(ValueError, match="group"):
        compare(labels, labels, labels, groups)


def test_people_are_drawn_where_they_are_known_else_sequences_else_pictures() -> None:
    samples = pd.DataFrame({"subject": ["a", "a", "b"], "sequence": ["1", "2", "3"]}, dtype="string")
    assert units(samples)[0] == "subject"
    assert units(samples)[1].tolist() == [0, 0, 1]
    none = pd.array([pd.NA] * 3, dtype="string")
    unit, numbers = units(samples.assign(subject=pd.array(["a", pd.NA, "b"], dtype="string")))
    assert (unit, numbers.tolist()) == ("sequence", [0, 1, 2])
    assert units(samples.assign(subject="a"))[0] == "sequence"
    assert units(samples.assign(subject=none, sequence=none))[0] == "picture"


def test_holm_raises_p_values_by_how_many_are_left() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_signs_over_targets() -> None:
    assert sign_test(5, 0) == pytest.approx(2 * 0.5**5)
    assert sign_test(0, 0) == 1.0
    assert sign_test(2, 2) == 1.0


def test_the_interval_of_a_mean_over_targets_is_that_of_independent_errors() -> None:
    one = PairedDifference(2.0, -1.0, 5.0, 0.2)
    assert mean_interval([one]) == pytest.approx((-1.0, 5.0))
    other = PairedDifference(4.0, 0.0, 8.0, 0.05)
    assert mean_interval([one, other]) == pytest.approx((3.0 - 2.5, 3.0 + 2.5))  # (3² + 4²)^½ / 2
