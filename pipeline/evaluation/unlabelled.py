"""The source model and the adapted one judged without the target's labels, and what that would have chosen."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.data.outcome import Outcome, Predictions
from pipeline.validators import LAST, VALIDATORS, best_epoch, measures


def judge(outcome: Outcome, source_labels: NDArray[np.int64], possible: Sequence[int]) -> dict[str, dict[str, float]]:
    """How sure, varied and clustered the target's pictures are, and the accuracy on the source's test sample.

    ``before`` and ``after`` adaptation. source_labels: int64, one for each embedded picture of the source
    (``outcome.source.rows``). possible: the classes that may be predicted; the source's pictures of others are left
    out.
    """
    counted = np.isin(source_labels, possible)
    return {
        name: _measures(predicted, source_labels, counted)
        for name, predicted in (("before", outcome.before), ("after", outcome.after))
    }


def choices(validations: pd.DataFrame, by_epoch: Sequence[float]) -> dict[str, dict[str, float | int]]:
    """The epoch that each validator finds best and the test accuracy there, and those of the last epoch.

    validations: a row an epoch from 0 (the source model), a column a validator. by_epoch: the accuracy at these epochs.
    """
    epochs = {one.name: best_epoch(one, validations[one.name].tolist()) for one in VALIDATORS}
    epochs[LAST] = len(by_epoch) - 1
    return {name: {"epoch": epoch, "accuracy": by_epoch[epoch]} for name, epoch in epochs.items()}


def _measures(predicted: Predictions, source_labels: NDArray[np.int64], counted: NDArray[np.bool_]) -> dict[str, float]:
    return {
        "entropy": measures.entropy(predicted.probabilities),
        "information": measures.information(predicted.probabilities),
        "neighbourhood_density": measures.neighbourhood_density(predicted.target),
        "source_accuracy": measures.accuracy(predicted.source_probabilities[counted], source_labels[counted]),
    }
