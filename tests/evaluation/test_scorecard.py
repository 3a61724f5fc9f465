"""Models judged without labels, and the epochs that this would choose."""

import numpy as np
import pandas as pd

from pipeline.data.outcome import Outcome, Predictions, RowSample
from pipeline.evaluation import scorecard
from pipeline.evaluation.records import ChosenEpoch
from pipeline.evaluation.scores import ByEpoch
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
