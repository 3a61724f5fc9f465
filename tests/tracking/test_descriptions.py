"""Metrics as MLflow shows them."""

import pytest

from pipeline.tracking.descriptions import with_units


def test_accuracies_are_in_per_cent_and_gains_in_points_and_say_so() -> None:
    found = with_units(
        {"ckplus.dt.accuracy": 0.7, "balanced_accuracy_low": 0.625, "gain": -0.03, "macro_f1": 0.5, "oracle.epoch": 3}
    )
    assert found == {
        "ckplus.dt.accuracy_percent": pytest.approx(70.0),
        "balanced_accuracy_low_percent": pytest.approx(62.5),
        "gain_points": pytest.approx(-3.0),
        "macro_f1": 0.5,
        "oracle.epoch": 3,
    }
