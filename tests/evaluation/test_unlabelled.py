"""What is said of predictions without labels, on cases worked by hand."""

import math

import numpy as np
import pytest

from pipeline.data.outcome import Outcome, Predicted, Sample
from pipeline.evaluation import unlabelled

EVEN = np.full((4, 7), 1 / 7, dtype=np.float32)
SURE = np.eye(7, dtype=np.float32)


def test_entropy_of_certain_and_of_even_predictions() -> None:
    assert unlabelled.entropy(SURE) == 0.0
    assert unlabelled.entropy(EVEN) == pytest.approx(math.log(7), abs=1e-6)


def test_information_wants_sure_and_varied_predictions() -> None:
    assert unlabelled.information(SURE) == pytest.approx(math.log(7))
    assert unlabelled.information(EVEN) == pytest.approx(0.0, abs=1e-6)
    assert unlabelled.information(np.tile(SURE[:1], (5, 1))) == 0.0  # all alike, however sure


def test_neighbourhood_density_counts_the_neighbours_of_a_picture() -> None:
    groups = np.eye(5, dtype=np.float32).repeat(8, axis=0)  # each picture has 7 others in its place
    assert unlabelled.neighbourhood_density(groups) == pytest.approx(math.log(7), abs=1e-3)
    assert unlabelled.neighbourhood_density(3.0 * groups) == unlabelled.neighbourhood_density(groups)
    alone = np.eye(40, dtype=np.float32)
    assert unlabelled.neighbourhood_density(alone) == pytest.approx(math.log(39))


def test_a_single_picture_has_no_neighbours() -> None:
    assert unlabelled.neighbourhood_density(np.ones((1, 4), dtype=np.float32)) == 0.0


def test_before_and_after_are_judged_on_target_and_source() -> None:
    rows = np.arange(4)
    sample = Sample(rows, rows)
    z = np.eye(4, dtype=np.float32)
    before, after = (Predicted(p, SURE[:4], z, z) for p in (EVEN, SURE[:4]))
    judged = unlabelled.judge(Outcome(sample, sample, before, after), np.array([0, 1, 2, 6]), range(7))
    assert judged["before"]["source_accuracy"] == judged["after"]["source_accuracy"] == 0.75
    known = unlabelled.judge(Outcome(sample, sample, before, after), np.array([0, 1, 2, 6]), [0, 1, 2])
    assert known["after"]["source_accuracy"] == 1.0  # the picture of another class does not count
    assert judged["before"]["entropy"] > judged["after"]["entropy"]
    assert judged["before"]["information"] < judged["after"]["information"]
