"""What is said of one target: its scores before and after adaptation, and the tables made of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config.schema import EvaluateParams
from pipeline.data.outcome import Outcome, Predictions
from pipeline.data.prepared import PreparedData
from pipeline.evaluation import scores
from pipeline.labels import EXPRESSIONS
from pipeline.validators import LAST, VALIDATORS, best_epoch, measures


def tsne_points(
    source: PreparedData | None, target: PreparedData, outcome: Outcome, count: int, seed: int
) -> pd.DataFrame:
    """t-SNE of at most ``count`` pictures of each domain, before and after: columns stage, domain, row, label, x, y.

    row: the picture's place in its set's crop store. label: -1 where it has none. source: None where nothing of it was
    embedded.
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


def score(
    target: PreparedData, outcome: Outcome, by_epoch: NDArray[np.uint8], params: EvaluateParams, seed: int
) -> dict[str, Any]:
    """Scores on the test rows: before, after, oracle, accuracy by epoch, which are right; empty without labels.

    by_epoch: E×N_test, the classes predicted for the test rows after 0, 1, … epochs.
    """
    test = target.split.test
    if len(test) == 0:
        return {}
    labels = target.store.labels()[test]
    found: dict[str, Any] = {
        stage: scores.score(labels, predicted.probabilities[test].argmax(axis=1))
        for stage, predicted in (("before", outcome.before), ("after", outcome.after))
    }
    for metrics in found.values():
        interval = scores.bootstrap_interval(metrics["accuracy"], len(test), params.bootstrap, seed)
        metrics["interval"] = list(interval)
    found["right"] = {
        stage: "".join(np.where(predicted.probabilities[test].argmax(axis=1) == labels, "1", "0"))
        for stage, predicted in (("before", outcome.before), ("after", outcome.after))
    }
    found["oracle"] = scores.oracle(labels, by_epoch)
    found["by_epoch"] = scores.accuracy_by_epoch(labels, by_epoch)
    return found


def headline(scores: Mapping[str, Any]) -> dict[str, Any]:
    """What ``dvc metrics show`` and MLflow list; accuracies are fractions."""
    if not scores:
        return {"n_test": 0}
    before, after = scores["before"], scores["after"]
    return {
        "accuracy": after["accuracy"],
        "accuracy_low": after["interval"][0],
        "accuracy_high": after["interval"][1],
        **{key: after[key] for key in ("balanced_accuracy", "macro_f1")},
        "dt": {key: before[key] for key in ("accuracy", "balanced_accuracy", "macro_f1")},
        "gain": after["accuracy"] - before["accuracy"],
        "oracle": scores["oracle"],
        "n_test": sum(after["support"]),
    }


def predictions_table(target: PreparedData, probabilities: NDArray[np.float64]) -> pd.DataFrame:
    """A row a picture: source file, expression, confidence and all probabilities."""
    table = pd.DataFrame(probabilities, columns=[f"p_{name}" for name in EXPRESSIONS])
    table.insert(0, "picture", target.store.samples["key"].to_numpy())
    table.insert(1, "expression", [EXPRESSIONS[index] for index in probabilities.argmax(axis=1)])
    table.insert(2, "confidence", probabilities.max(axis=1))
    return table


def plot_tables(scores: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """The tables behind ``dvc plots show``, by name: F1, confusion (a row a picture) and accuracy by epoch."""
    f1, confusion, accuracy = [], [], []
    if scores:
        for expression, before, after in zip(EXPRESSIONS, scores["before"]["f1"], scores["after"]["f1"], strict=True):
            f1.append({"expression": f"{expression}, before", "f1": before})
            f1.append({"expression": f"{expression}, after", "f1": after})
        for actual, counts in zip(EXPRESSIONS, scores["after"]["confusion"], strict=True):
            for predicted, count in zip(EXPRESSIONS, counts, strict=True):
                confusion += [{"actual": actual, "predicted": predicted}] * count
        accuracy = [{"epoch": epoch, "accuracy": value} for epoch, value in enumerate(scores["by_epoch"])]
    return {
        "f1": pd.DataFrame(f1, columns=["expression", "f1"]),
        "confusion": pd.DataFrame(confusion, columns=["actual", "predicted"]),
        "accuracy": pd.DataFrame(accuracy, columns=["epoch", "accuracy"]),
    }


def unlabelled_scores(
    outcome: Outcome, source_labels: NDArray[np.int64], possible: Sequence[int]
) -> dict[str, dict[str, float]]:
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


def chosen_epochs(validations: pd.DataFrame, by_epoch: Sequence[float]) -> dict[str, dict[str, float | int]]:
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
