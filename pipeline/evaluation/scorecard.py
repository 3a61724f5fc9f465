"""What is said of one target: scores before and after adaptation, with its labels and without, and tables of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config.schema import EvaluateParams
from pipeline.data.outcome import Outcome, Predictions
from pipeline.data.prepared import Indices, PreparedData
from pipeline.evaluation import scores
from pipeline.evaluation.calibration import bins, expected_error
from pipeline.evaluation.records import (
    CalibrationError,
    CalibrationScores,
    Candidate,
    ChosenEpoch,
    Metrics,
    Oracle,
    Tested,
    Unlabelled,
    UnlabelledScores,
)
from pipeline.evaluation.resampling import units
from pipeline.evaluation.scores import ByEpoch
from pipeline.labels import EXPRESSIONS
from pipeline.networks.calibration import rescaled
from pipeline.validators import LAST, VALIDATORS, best_candidate, best_epoch, computed, measures


@dataclass(frozen=True)
class Scores:
    """What the labels of the test part say.

    Attributes:
        before: of the source model.
        after: of the adapted one.
        tested: the test pictures one by one.
        oracle: the best epoch.
        by_epoch: accuracies after 0, 1, … epochs.
    """

    before: Metrics
    after: Metrics
    tested: Tested
    oracle: Oracle
    by_epoch: ByEpoch


def score(
    target: PreparedData, outcome: Outcome, by_epoch: NDArray[np.uint8], params: EvaluateParams, seed: int
) -> Scores | None:
    """Scores on the test rows; None where there are none, as no picture has a label.

    Args:
        target: the data set, with its labels.
        outcome: what the adaptation left of it.
        by_epoch: E×N_test, the classes predicted for the test rows after 0, 1, … epochs.
        params: section evaluate.
        seed: of the bootstrap.
    """
    test = target.split.test
    if len(test) == 0:
        return None
    labels = target.store.labels()[test]
    unit, groups = units(target.store.samples.iloc[test])
    predicted = [one.probabilities[test].argmax(axis=1) for one in (outcome.before, outcome.after)]
    before, after = (_with_intervals(labels, classes, groups, params.bootstrap, seed) for classes in predicted)
    digits = ["".join(map(str, classes.tolist())) for classes in (labels, *predicted)]
    numbers = () if unit == "picture" else tuple(groups.tolist())
    return Scores(
        before=before,
        after=after,
        tested=Tested(labels=digits[0], before=digits[1], after=digits[2], unit=unit, units=numbers),
        oracle=scores.oracle(labels, by_epoch),
        by_epoch=scores.scores_by_epoch(labels, by_epoch),
    )


def _with_intervals(labels: Indices, predicted: Indices, groups: Indices, resamples: int, seed: int) -> Metrics:
    intervals = scores.bootstrap_intervals(labels, predicted, groups, resamples, seed)
    found = dict(zip(("interval", "balanced_interval"), intervals, strict=True))
    return scores.score(labels, predicted).model_copy(update=found)


def headline(scores: Scores | None) -> dict[str, Any]:
    """The numbers of a target's metrics.json; accuracies are fractions."""
    if scores is None:
        return {"n_test": 0}
    before, after = scores.before, scores.after
    low, high = after.interval or (None, None)
    balanced_low, balanced_high = after.balanced_interval or (None, None)
    return {
        "accuracy": after.accuracy,
        "accuracy_low": low,
        "accuracy_high": high,
        "balanced_accuracy": after.balanced_accuracy,
        "balanced_accuracy_low": balanced_low,
        "balanced_accuracy_high": balanced_high,
        "macro_f1": after.macro_f1,
        "dt": {key: getattr(before, key) for key in ("accuracy", "balanced_accuracy", "macro_f1")},
        "gain": after.accuracy - before.accuracy,
        "balanced_gain": after.balanced_accuracy - before.balanced_accuracy,
        "oracle": scores.oracle.to_json(),
        "n_test": sum(after.support),
    }


def unlabelled_scores(outcome: Outcome, source_labels: NDArray[np.int64], possible: Sequence[int]) -> Unlabelled:
    """How sure, varied and clustered the target's pictures are, and the accuracy on the source's test sample.

    Args:
        outcome: predictions before and after adaptation.
        source_labels: int64, one for each embedded picture of the source (``outcome.source.rows``).
        possible: the classes that may be predicted; the source's pictures of others are left out.
    """
    counted = np.isin(source_labels, possible)
    before, after = (
        UnlabelledScores(
            entropy=measures.entropy(predicted.probabilities),
            information=measures.information(predicted.probabilities),
            neighbourhood_density=measures.neighbourhood_density(predicted.probabilities[outcome.target.rows]),
            source_accuracy=measures.accuracy(predicted.source_probabilities[counted], source_labels[counted]),
        )
        for predicted in (outcome.before, outcome.after)
    )
    return Unlabelled(before=before, after=after)


def chosen_epochs(validations: pd.DataFrame, by_epoch: ByEpoch, searched: bool = False) -> dict[str, ChosenEpoch]:
    """The epoch that each validator finds best and the test accuracies there, and those of the last epoch.

    A validator that was not computed chooses none, and is left out.

    Args:
        validations: a row an epoch from 0 (the source model), a column a validator; NaN: not computed.
        by_epoch: the accuracies at these epochs.
        searched: whether these are the configurations of a search in place of epochs, of which none is the last.
    """
    able = [one for one in VALIDATORS if not math.isnan(validations[one.name][0])]
    if searched:
        said = [{one.name: float(row[one.name]) for one in able} for _, row in validations.iterrows()]
        epochs = {one.name: best_candidate(one, said) for one in able}
    else:
        epochs = {one.name: best_epoch(one, validations[one.name].tolist()) for one in able}
        epochs[LAST] = len(by_epoch.accuracy) - 1
    return {
        name: ChosenEpoch(
            epoch=epoch,
            accuracy=float(by_epoch.accuracy[epoch]),
            balanced_accuracy=float(by_epoch.balanced_accuracy[epoch]),
        )
        for name, epoch in epochs.items()
    }


def candidates(
    varied: Sequence[Mapping[str, Any]], validations: pd.DataFrame, scores: Scores | None
) -> list[Candidate]:
    """The configurations of a search, with what is known of them.

    Args:
        varied: the parameters in which they differ.
        validations: the source model's row, then theirs; a column a validator. NaN: not computed; the whole row of a
            configuration whose training failed.
        scores: of the target; None where it has no labels.
    """
    found = []
    for place, parameters in enumerate(varied, start=1):
        said = computed({one.name: float(validations[one.name][place]) for one in VALIDATORS})
        by_epoch = scores.by_epoch if scores and said else None
        found.append(
            Candidate(
                parameters=dict(parameters),
                validations=said,
                accuracy=float(by_epoch.accuracy[place]) if by_epoch else None,
                balanced_accuracy=float(by_epoch.balanced_accuracy[place]) if by_epoch else None,
            )
        )
    return found


def calibration_scores(
    predicted: Predictions,
    temperature: float,
    source_labels: NDArray[np.int64],
    rows: Indices,
    labels: NDArray[np.int64],
) -> tuple[CalibrationScores, pd.DataFrame]:
    """What the temperature does to the calibration error of the source's sample and of the target's test part.

    Args:
        predicted: by the adapted model.
        temperature: the adapted model's.
        source_labels: int64, of the source's sample.
        rows: int64, the target's test rows; none where it has no labels.
        labels: int64, their labels.

    Returns:
        The errors, and the bins of the target's test part: columns scaled, count, confidence, accuracy.
    """
    tables = [pd.DataFrame(columns=["scaled", "count", "confidence", "accuracy"])]
    target = None
    if len(rows):
        p = predicted.probabilities[rows]
        target = _calibration_error(p, temperature, labels)
        scaled = rescaled(p, temperature)
        tables = [bins(p, labels).assign(scaled=False), bins(scaled, labels).assign(scaled=True)]
    source = _calibration_error(predicted.source_probabilities, temperature, source_labels)
    found = CalibrationScores(temperature=temperature, source=source, target=target)
    return found, pd.concat(tables)[["scaled", "count", "confidence", "accuracy"]]


def _calibration_error(
    p: NDArray[np.floating[Any]], temperature: float, labels: NDArray[np.int64]
) -> CalibrationError | None:
    """None where there is no picture."""
    if len(labels) == 0:
        return None
    return CalibrationError(before=expected_error(p, labels), after=expected_error(rescaled(p, temperature), labels))


def tsne_points(
    source: PreparedData | None, target: PreparedData, outcome: Outcome, count: int, seed: int
) -> pd.DataFrame:
    """t-SNE of some pictures of each domain, before and after adaptation.

    Args:
        source: None where nothing of it was embedded.
        target: the data set adapted to.
        outcome: what the adaptation left of it.
        count: pictures of each domain, at most.
        seed: of t-SNE.

    Returns:
        Columns stage, domain, row (the picture's place in its set's crop store), label (-1 where it has none), x, y.
    """
    of_source, of_target = outcome.source.first(count), outcome.target.first(count)
    rows = outcome.source.rows[of_source], outcome.target.rows[of_target]
    known = [] if source is None else [source.store.labels()[rows[0]]]
    pictures = {
        "domain": ["source"] * len(rows[0]) + ["target"] * len(rows[1]),
        "row": np.concatenate(rows),
        "label": np.concatenate([*known, target.store.labels()[rows[1]]]),
    }
    points = []
    for stage, predicted in (("before", outcome.before), ("after", outcome.after)):
        both = np.concatenate([predicted.source[of_source], predicted.target[of_target]])
        x, y = scores.tsne(both, seed).T
        points.append(pd.DataFrame({"stage": stage, **pictures, "x": x, "y": y}))
    return pd.concat(points)


def predictions_table(target: PreparedData, probabilities: NDArray[np.float64]) -> pd.DataFrame:
    """A row a picture of the store: source file, expression, confidence and all probabilities (N×7)."""
    table = pd.DataFrame(probabilities, columns=[f"p_{name}" for name in EXPRESSIONS])
    table.insert(0, "picture", target.store.samples["key"].to_numpy())
    table.insert(1, "expression", [EXPRESSIONS[index] for index in probabilities.argmax(axis=1)])
    table.insert(2, "confidence", probabilities.max(axis=1))
    return table


def plot_tables(scores: Scores | None) -> dict[str, pd.DataFrame]:
    """The tables behind ``dvc plots show``, by name: F1, confusion (a row a picture) and accuracy by epoch."""
    f1, confusion, accuracy = [], [], pd.DataFrame(columns=["epoch", *ByEpoch._fields])
    if scores is not None:
        for expression, before, after in zip(EXPRESSIONS, scores.before.f1, scores.after.f1, strict=True):
            f1.append({"expression": f"{expression}, before", "f1": before})
            f1.append({"expression": f"{expression}, after", "f1": after})
        for actual, counts in zip(EXPRESSIONS, scores.after.confusion, strict=True):
            for predicted, count in zip(EXPRESSIONS, counts, strict=True):
                confusion += [{"actual": actual, "predicted": predicted}] * count
        accuracy = pd.DataFrame(scores.by_epoch._asdict()).rename_axis("epoch").reset_index()
    return {
        "f1": pd.DataFrame(f1, columns=["expression", "f1"]),
        "confusion": pd.DataFrame(confusion, columns=["actual", "predicted"]),
        "accuracy": accuracy,
    }
