"""Models judged without labels, and the epochs that this would choose."""

import math
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd

from pipeline.data.outcome import Outcome, Predictions, RowSample
from pipeline.evaluation import scorecard
from pipeline.evaluation.records import ChosenEpoch
from pipeline.evaluation.scores import ByEpoch
from pipeline.files.io import read_csv, write_csv
from pipeline.validators import VALIDATORS
from tests.evaluation.test_calibration import drawn

EVEN = np.full((4, 7), 1 / 7, dtype=np.float32)
SURE = np.eye(7, dtype=np.float32)


def test_before_and_after_are_judged_on_target_and_source() -> None:
    rows = np.arange(4)
    sample = RowSample(rows, rows)
    z = np.eye(4, dtype=np.float32)
    before, after = (Predictions(p, SURE[:4], z, z) for p in (EVEN, SURE[:4]))
    judged = scorecard.unlabelled_scores(Outcome(sample, sample, before, after), np.array([0, 1, 2, 6]), range(7))
    assert judged.before.source_accuracy == judged.after.source_accuracy == 0.75
    known = scorecard.unlabelled_scores(Outcome(sample, sample, before, after), np.array([0, 1, 2, 6]), [0, 1, 2])
    assert known.after.source_accuracy == 1.0  # the picture of another class does not count
    assert judged.before.entropy > judged.after.entropy
    assert judged.before.information < judged.after.information


def test_a_validator_chooses_its_best_epoch_and_of_equal_ones_the_first() -> None:
    rising = pd.DataFrame({validator.name: [0.0, 1.0, 2.0, 2.0] for validator in VALIDATORS})
    chosen = scorecard.chosen_epochs(rising, ByEpoch(np.array([0.5, 0.6, 0.4, 0.7]), np.array([0.1, 0.2, 0.3, 0.4])))
    assert chosen["information"] == ChosenEpoch(epoch=2, accuracy=0.4, balanced_accuracy=0.3)
    assert chosen["entropy"] == ChosenEpoch(epoch=0, accuracy=0.5, balanced_accuracy=0.1)
    assert chosen["last"] == ChosenEpoch(epoch=3, accuracy=0.7, balanced_accuracy=0.4)


def test_what_was_not_computed_stays_an_empty_cell_and_chooses_nothing(tmp_path: Path) -> None:
    without = [one.name for one in VALIDATORS if one.needs_source]
    told = [{one.name: math.nan if one.needs_source else value for one in VALIDATORS} for value in (0.0, 1.0)]
    failed = dict.fromkeys(told[0], math.nan)
    write_csv(tmp_path / "said.csv", pd.DataFrame([*told, failed]).rename_axis("epoch").reset_index())
    cells = ["" if one.needs_source else "0" for one in VALIDATORS]
    assert (tmp_path / "said.csv").read_text().splitlines()[1] == ",".join(["0", *cells])
    said = read_csv(tmp_path / "said.csv")
    by_epoch = ByEpoch(np.array([0.5, 0.6, 0.5]), np.array([0.1, 0.2, 0.1]))
    for searched in (False, True):
        chosen = scorecard.chosen_epochs(said.iloc[:2], by_epoch, searched)
        assert chosen["information"].epoch == 1
        assert not chosen.keys() & {*without}
    scored = Mock(by_epoch=by_epoch)
    first, second = scorecard.candidates([{"lr": 1.0}, {"lr": 2.0}], said, scored)
    assert first.validations == {name: 1.0 for name in told[0] if name not in without}
    assert first.accuracy == 0.6
    assert (second.validations, second.accuracy) == ({}, None)


def test_a_target_without_labels_has_no_calibration_error() -> None:
    p, labels = drawn(50, 2.0)
    predicted = Predictions(p, p, p, p)
    errors, table = scorecard.calibration_scores(predicted, 2.0, labels, np.arange(0), labels[:0])
    assert errors.target is None
    assert len(table) == 0
    assert errors.source is not None
    assert errors.source.after < errors.source.before
    errors, table = scorecard.calibration_scores(predicted, 2.0, labels, np.arange(50), labels)
    assert errors.target == errors.source
    assert table["count"].sum() == 100
