"""Action units: prototypes, individual variation, sequences from neutral to the peak."""

import numpy as np
import pytest

from pipeline.labels import EXPRESSIONS
from pipeline.standins.actions import ACTION_UNITS, PROTOTYPES, Acting, Actions, sample_peak, sample_rest
from pipeline.standins.camera import actions_of
from pipeline.standins.layouts import Shot
from pipeline.standins.styles import STYLES

EXACT = Acting(strength=1.0, spread=0.0, weak=0.0, stray=0.0)
LOOSE = Acting(strength=0.8, spread=0.2, weak=0.2, stray=0.3)


def test_every_expression_has_a_prototype_of_known_action_units() -> None:
    assert set(EXPRESSIONS) <= set(PROTOTYPES)
    for variants in PROTOTYPES.values():
        for units in variants:
            assert set(units) <= set(ACTION_UNITS)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_peak_shows_the_units_of_one_variant_and_no_other(expression: str) -> None:
    peak = sample_peak(expression, EXACT, np.random.default_rng(3))
    shown = {unit for unit in ACTION_UNITS if peak.both(unit) > 0.01}
    assert shown in [set(units) for units in PROTOTYPES[expression]]


def test_people_differ() -> None:
    rng = np.random.default_rng(0)
    first, second = sample_peak("fear", LOOSE, rng), sample_peak("fear", LOOSE, rng)
    assert not np.array_equal(first.intensities, second.intensities)


def test_intensities_stay_between_0_and_1() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        values = sample_peak("surprise", LOOSE, rng).intensities
        assert values.min() >= 0.0
        assert values.max() <= 1.0


def test_contempt_is_one_sided() -> None:
    peak = sample_peak("contempt", EXACT, np.random.default_rng(0))
    sides = sorted((peak.on(12, -1), peak.on(12, 1)))
    assert sides[0] < 0.3 * sides[1]


def test_on_and_both_agree() -> None:
    actions = Actions.of({12: 0.4})
    assert actions.on(12, -1) == actions.on(12, 1) == actions.both(12) == 0.4
    assert actions.both(15) == 0.0


def test_rest_is_nowhere_stronger_than_the_peak() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        peak = sample_peak("sadness", LOOSE, rng)
        assert np.all(sample_rest(peak, LOOSE, rng).intensities <= peak.intensities)


@pytest.mark.parametrize("dataset", ["ckplus", "oulu"])
def test_sequence_grows_from_neutral_to_the_peak(dataset: str) -> None:
    frames = [
        actions_of(Shot("surprise", 0, 5, frame, share), STYLES[dataset], 7, dataset).intensities
        for frame, share in enumerate((0.0, 0.4, 0.9, 1.0))
    ]
    assert np.all(np.diff(frames, axis=0) >= 0.0)
    assert frames[0].max() <= STYLES[dataset].acting.stray
    assert frames[-1].max() > 0.5
