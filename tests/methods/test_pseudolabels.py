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


def of_confidences(*by_class: tuple[int, list[float]]) -> torch.Tensor:
    """Probabilities of samples with these confidences in these classes; the rest is spread over the others."""
    rows = []
    for label, confidences in by_class:
        for confidence in confidences:
            row = torch.full((7,), (1 - confidence) / 6)
            row[label] = confidence
            rows.append(row)
    return torch.stack(rows)


def test_a_floor_and_a_cap_of_trusted_samples() -> None:
    probabilities = of_confidences((0, [0.9, 0.5, 0.4, 0.3]), (3, [0.9, 0.9, 0.9, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]))
    free = pseudolabels.assign(probabilities, beta=2.0).trusted
    assert free.tolist() == [True, False, False, False, True, True, True] + [False] * 7
    bounds = pseudolabels.Bounds(floor=1.0, cap=1.0)  # 14 samples of 7 classes: 2 each
    bounded = pseudolabels.assign(probabilities, 2.0, bounds).trusted
    assert bounded.tolist() == [True, True, False, False, True, True] + [False] * 8


def test_a_class_that_died_out_is_kept_by_the_samples_most_like_it() -> None:
    probabilities = of_confidences((0, [0.9, 0.8, 0.7, 0.6]), (3, [0.9, 0.8, 0.7]))
    probabilities[2, 5], probabilities[3, 5] = 0.2, 0.3
    alive = torch.tensor([True, False, False, True, False, True, False])
    pseudo = pseudolabels.assign(probabilities, 2.0, pseudolabels.Bounds(floor=2.0, alive=alive))
    assert pseudo.labels.tolist() == [0, 0, 5, 5, 3, 3, 3]
    assert pseudo.trusted[[2, 3]].all()
    kept = pseudolabels.assign(probabilities, 2.0, pseudolabels.Bounds(alive=alive))
    assert (kept.labels == 5).tolist() == [False, False, False, True, False, False, False]
    assert 2 not in kept.labels


def test_two_classes_that_died_out_share_no_sample_and_take_no_class_its_last_one() -> None:
    probabilities = of_confidences((0, [0.9, 0.8, 0.7]), (1, [0.9]))
    pseudo = pseudolabels.assign(probabilities, 2.0, pseudolabels.Bounds(alive=torch.ones(7, dtype=torch.bool)))
    counts = torch.bincount(pseudo.labels, minlength=7)
    assert counts[0] == 1
    assert counts[1] == 1
    assert counts.sum() == 4
    assert counts.max() == 1
