"""Adaptive thresholds (eq. 14) on cases worked by hand, and on empty classes."""

import pytest
import torch

from pipeline.methods.parts import pseudolabels


def test_adaptive_thresholds_by_hand() -> None:
    confidence = torch.tensor([0.4, 0.6, 0.8, 0.9, 0.5])
    labels = torch.tensor([0, 0, 0, 3, 3])
    thresholds = pseudolabels.adaptive_thresholds(confidence, labels, beta=2.0)
    # class 0: average 0.6, largest 0.8; class 3: average 0.7, largest 0.9
    assert thresholds[0].item() == pytest.approx(0.6 + 0.2 * (1 - 0.36))
    assert thresholds[3].item() == pytest.approx(0.7 + 0.2 * (1 - 0.49))
    assert bool(torch.isinf(thresholds[[1, 2, 4, 5, 6]]).all())


def test_larger_beta_is_stricter_and_beta_zero_is_the_average() -> None:
    confidence, labels = torch.tensor([0.3, 0.5, 0.9]), torch.zeros(3, dtype=torch.int64)
    values = [pseudolabels.adaptive_thresholds(confidence, labels, beta)[0].item() for beta in (0.0, 1.0, 2.0, 8.0)]
    assert values == sorted(values)
    assert values[0] == pytest.approx(1.7 / 3)


def test_assign_trusts_within_each_class() -> None:
    probabilities = torch.full((4, 7), 0.01)
    probabilities[0, 2], probabilities[1, 2], probabilities[2, 5], probabilities[3, 5] = 0.9, 0.3, 0.5, 0.2
    pseudo = pseudolabels.assign(probabilities, beta=2.0)
    assert pseudo.labels.tolist() == [2, 2, 5, 5]
    assert pseudo.trusted.tolist() == [True, False, True, False]
    assert not bool(torch.isnan(pseudo.thresholds).any())


@pytest.mark.parametrize("value", [1 / 7, 0.1 + 0.2, 0.7, 1.0])
def test_equal_confidences_are_all_trusted(value: float) -> None:
    probabilities = torch.zeros(1001, 7)
    probabilities[:, 4] = value
    assert bool(pseudolabels.assign(probabilities, beta=2.0).trusted.all())


def test_one_sample_is_its_own_threshold() -> None:
    pseudo = pseudolabels.assign(torch.softmax(torch.randn(1, 7), dim=1), beta=2.0)
    assert pseudo.trusted.tolist() == [True]
