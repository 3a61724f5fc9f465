"""Paired comparisons against SciPy and against cases that are known."""

import numpy as np
import pytest
from scipy import stats

from pipeline.evaluation.comparison import paired_bootstrap, sign_test


def test_the_interval_is_scipys_percentile_bootstrap() -> None:
    differences = np.random.Generator(np.random.PCG64(1)).choice([-1.0, 0.0, 1.0], 200, p=[0.1, 0.6, 0.3])
    found = paired_bootstrap(differences, 4000, seed=0)
    expected = stats.bootstrap((differences,), np.mean, n_resamples=4000, method="percentile", rng=0)
    assert found.difference == pytest.approx(differences.mean())
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=0.01)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=0.01)
    assert found.p < 0.01


def test_no_difference_has_no_small_p() -> None:
    even = np.array([1.0, -1.0] * 50)
    assert paired_bootstrap(even, 1000, seed=0).p > 0.8
    assert paired_bootstrap(np.zeros(20), 100, seed=0).p == 1.0


def test_a_difference_everywhere_has_the_smallest_p_that_so_many_resamples_allow() -> None:
    found = paired_bootstrap(np.ones(30), 999, seed=0)
    assert found.p == pytest.approx(2 / 1000)
    assert (found.low, found.high) == (1.0, 1.0)


def test_signs_over_targets() -> None:
    assert sign_test(5, 0) == pytest.approx(2 * 0.5**5)
    assert sign_test(0, 0) == 1.0
    assert sign_test(2, 2) == 1.0
