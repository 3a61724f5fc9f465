"""All scores of one target, before and after adaptation, with and without labels, and tables of them."""

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
    """Scores on the test rows, by their labels.

    Attributes:
        before: scores of the source model.
        after: scores of the adapted model.
        tested: labels and predictions of the single test pictures.
        oracle: scores of the best epoch.
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
    """Score both models on the test rows; None if there are none, because no picture has a label.

    Args:
        target: the data set, with its labels.
        outcome: the predictions of both models.
        by_epoch: classes predicted for the test rows after 0, 1, … epochs, E×N_test.
        params: section evaluate.
        seed: seed of the bootstrap.
    """
    test = target.split.test
    if len(test) == 0:
        return None
    labels = target.store.labels()[test]
    unit, groups = units(target.store.samples.iloc[test])
    predicted = [one.probabilities[test].argmax(axis=1) for one in (outcome.before, outcome.after)]
    before, after = (
        scores.score_with_intervals(labels, classes, groups, params.bootstrap, seed) for classes in predicted
    )
    digits = ["".join(map(str, classes.tolist())) for classes in (labels, *predicted)]
    numbers = () if unit == "picture" else tuple(groups.tolist())
    return Scores(
        before=before,
        after=after,
        tested=Tested(labels=digits[0], before=digits[1], after=digits[2], unit=unit, units=numbers),
        oracle=scores.oracle(labels, by_epoch),
        by_epoch=scores.scores_by_epoch(labels, by_epoch),
    )


def headline(scores: Scores | None) -> dict[str, Any]:
    """Return the content of a target's metrics.json; accuracies are fractions."""
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
    """Compute label-free scores on the target, and the accuracy on the source's test sample, for both models.

    Args:
        outcome: the predictions of both models.
        source_labels: labels of the source's sample (``outcome.source.rows``), int64.
        possible: the classes that can be predicted; source pictures of other classes are ignored.
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
    """Return the epoch that each validator chooses, and the last one, with their test accuracies.

    Validators that were not computed are left out.

    Args:
        validations: one row per epoch from 0 (the source model), one column per validator; NaN: not computed.
        by_epoch: test accuracies of these epochs.
        searched: whether rows are configurations of a search instead of epochs; then there is no last epoch.
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
    """Return the configurations of a search with their scores.

    Args:
        varied: the searched parameters of each configuration.
        validations: one row for the source model, then one per configuration; one column per validator. NaN: not
            computed; all values of a configuration are NaN if its training failed.
        scores: the scores of the target; None if it has no labels.
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
    """Compute calibration errors, with and without temperature, on the source's sample and the target's test rows.

    Args:
        predicted: predictions of the adapted model.
        temperature: temperature of the adapted model.
        source_labels: labels of the source's sample, int64.
        rows: test rows of the target, int64; empty if it has no labels.
        labels: labels of ``rows``, int64.

    Returns:
        The errors, and the bins of the target's test rows: columns scaled, count, confidence, accuracy.
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
    """Return the errors; None if there is no picture."""
    if len(labels) == 0:
        return None
    return CalibrationError(before=expected_error(p, labels), after=expected_error(rescaled(p, temperature), labels))


def tsne_points(
    source: PreparedData | None, target: PreparedData, outcome: Outcome, count: int, seed: int
) -> pd.DataFrame:
    """Compute t-SNE of a sample of both domains, before and after adaptation.

    Args:
        source: the source data; None if no source picture was embedded.
        target: the target data.
        outcome: the embeddings of both models.
        count: maximum number of pictures per domain.
        seed: seed of t-SNE.

    Returns:
        Columns stage, domain, row (in the crop store of the picture's set), label (-1: none), x, y.
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
    """Return one row per picture of the store: source file, expression, confidence and all probabilities (N×7)."""
    table = pd.DataFrame(probabilities, columns=[f"p_{name}" for name in EXPRESSIONS])
    table.insert(0, "picture", target.store.samples["key"].to_numpy())
    table.insert(1, "expression", [EXPRESSIONS[index] for index in probabilities.argmax(axis=1)])
    table.insert(2, "confidence", probabilities.max(axis=1))
    return table


def plot_tables(scores: Scores | None) -> dict[str, pd.DataFrame]:
    """Return the tables for ``dvc plots show``, by name: F1, confusion (one row per picture), accuracy by epoch."""
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
