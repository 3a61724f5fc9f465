"""Confidence against accuracy, on predictions whose calibration is known."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipeline.evaluation import calibration
from pipeline.networks.calibration import fitted_temperature, rescaled
from pipeline.networks.network import Calibration


def drawn(count: int, factor: float, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Labels drawn from probabilities, and these with logits ``factor`` times as large."""
    generator = np.random.Generator(np.random.PCG64(seed))
    logits = generator.normal(0, 2, (count, 7))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([generator.choice(7, p=row) for row in true])
    claimed = np.exp(factor * logits)
    return claimed / claimed.sum(axis=1, keepdims=True), labels


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_the_logits_were_multiplied_by(factor: float) -> None:
    p, labels = drawn(6000, factor)
    found = fitted_temperature(p, labels)
    assert found == pytest.approx(factor, rel=0.06)
    before, after = (calibration.expected_error(q, labels) for q in (p, rescaled(p, found)))
    assert after < 0.02
    assert before > 0.1 or factor == 1.0


def test_the_error_of_two_bins_is_worked_out_by_hand() -> None:
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    labels = np.array([0, 1, 0, 1])
    # confidence 0.9: half are right; 0.6: both are
    assert calibration.expected_error(p, labels) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)
    table = calibration.bins(p, labels)
    assert table["count"].tolist() == [2, 2]
    assert table["accuracy"].tolist() == [1.0, 0.5]


def test_scaling_keeps_the_order_and_what_is_impossible() -> None:
    p = np.array([[0.7, 0.3, 0.0], [0.2, 0.3, 0.5]])
    scaled = rescaled(p, 2.0)
    assert (scaled.argsort(axis=1) == p.argsort(axis=1)).all()
    assert scaled[0, 2] == 0.0
    assert scaled.sum(axis=1) == pytest.approx([1.0, 1.0])
    assert scaled[0, 0] == pytest.approx(0.7**0.5 / (0.7**0.5 + 0.3**0.5))


def test_the_models_own_scaling_is_the_same() -> None:
    p, _ = drawn(5, 1.0)
    p[0] = np.eye(7)[2]
    module = Calibration()
    torch.testing.assert_close(module(torch.from_numpy(p)), torch.from_numpy(p))
    module.temperature.fill_(1.7)
    assert np.allclose(module(torch.from_numpy(p)).numpy(), rescaled(p, 1.7))


def test_labels_that_cannot_be_predicted_are_left_out() -> None:
    p, labels = drawn(2000, 2.0)
    p[:, 6] = 0.0
    p /= p.sum(axis=1, keepdims=True)
    without = labels != 6
    assert fitted_temperature(p, labels) == fitted_temperature(p[without], labels[without])
    assert fitted_temperature(p[:0], labels[:0]) == 1.0
