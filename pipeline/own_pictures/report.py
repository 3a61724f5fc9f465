"""The report of an adaptation to the user's own pictures: predictions, and what can be said of them without labels."""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config.schema import Params
from pipeline.data.outcome import Outcome, Predictions
from pipeline.data.prepared import PreparedData
from pipeline.evaluation import scorecard
from pipeline.labels import EXPRESSIONS, NUM_CLASSES
from pipeline.reporting.folder_faces import found_by
from pipeline.reporting.markdown import MARK_NOTE, NOTHING, markdown_table
from pipeline.reporting.titles import dataset_title
from pipeline.validators import chooser

SURE = 0.9
"""The probability from which a prediction counts as sure in the report."""

CALIBRATED = "calibrated on the source's test pictures"
UNCALIBRATED = "not calibrated, as no picture of the source came with the imported model"

EXPLAINED = (
    "Entropy of the predictions: low where the model is sure. Information: the entropy of the mean prediction minus "
    "that entropy; high where the model is sure of each picture and does not say the same of all. Soft neighbourhood "
    "density of the predictions. Accuracy on the source's test pictures, where they are at hand."
)
DOUBTFUL = (
    "**Doubtful**: information fell, so the adapted model tells these pictures apart less well than the source model "
    "did. Look at the predictions before you use it; `--method dt` keeps the source model."
)
NO_SIGN = "No sign of harm: information did not fall."


def text(
    settings: Params,
    model: str,
    target: PreparedData,
    unit: str,
    outcome: Outcome,
    kept_epoch: int,
    source_labels: NDArray[np.int64] | None,
    predictions: pd.DataFrame,
    mark: str,
    calibration: str = CALIBRATED,
) -> str:
    """The text of report.md, in Markdown.

    Args:
        settings: the parameters of the run.
        model: the source model, as the user named it.
        target: the user's pictures.
        unit: what these are: "picture" or "frame".
        outcome: what both models predict.
        kept_epoch: the epoch that the adapted model is of; 0: the source model.
        source_labels: of each of the source's crops; None where the source is not at hand.
        predictions: expression and calibrated confidence of every picture that is predicted.
        mark: stands after every number where pictures are drawn, else "".
        calibration: what is said of the probabilities.
    """
    rows = target.split.test
    embedded, ranks = outcome.target.rows, outcome.target.ranks[np.isin(outcome.target.rows, rows)]
    sample = replace(outcome.target, rows=np.flatnonzero(np.isin(rows, embedded)), ranks=ranks)
    with_faces = replace(outcome, target=sample, before=_only(outcome.before, rows), after=_only(outcome.after, rows))
    source, found = dataset_title(settings.source), found_by(target.store)
    parts = [
        f"# {target.name}: adapted by {settings.adapt.title}",
        f"The model `{model}`, trained on {source}, was adapted to {len(rows)} of {len(target.store.images)} readable "
        f"{unit}s, those with a face: {found}. No label was used. How the faces were found: [faces.md](faces.md), and "
        f"the [contact sheets](contact-sheets). Predictions: [predictions.csv](predictions.csv). The model: `model/`, "
        f"for `pocan predict --model`. How training went: [curve.csv](curve.csv).{_kept(settings, kept_epoch)}",
        "## Expressions",
        _classes(with_faces.before, predictions, mark),
        f"Confidence is the probability of the expression that is predicted, {calibration}; "
        f"sure: {SURE:.0%} or more. How often such predictions are right here is not known without labels: look at "
        "some of them.",
        "## Judged without labels",
        *_comparison(with_faces, source_labels, mark),
        EXPLAINED,
        *([MARK_NOTE] if mark else []),
    ]
    return "\n\n".join(parts) + "\n"


def _kept(settings: Params, epoch: int) -> str:
    """A sentence on which epoch's model is kept, where a validator chose it."""
    validator = chooser(settings.adapt.choose)
    if validator is None:
        return ""
    after = f"epoch {epoch} of {settings.adapt.passes}"
    if settings.adapt.search:
        after = f"training by configuration {epoch} of those tried ([validations.csv](validations.csv))"
    kept = "the source model itself" if epoch == 0 else f"the model after {after}"
    return f" Kept is {kept}, chosen by {validator.title} (`adapt.choose`)."


def _only(predicted: Predictions, rows: NDArray[np.int64]) -> Predictions:
    return replace(predicted, probabilities=predicted.probabilities[rows])


def _classes(before: Predictions, predictions: pd.DataFrame, mark: str) -> str:
    counts = np.bincount(before.probabilities.argmax(axis=1), minlength=NUM_CLASSES)
    rows = []
    for name, count in [*zip(EXPRESSIONS, counts, strict=True), ("all", len(predictions))]:
        mine = predictions if name == "all" else predictions[predictions["expression"] == name]
        mean = f"{mine['confidence'].mean():.2f}{mark}" if len(mine) else NOTHING
        sure = int((mine["confidence"] >= SURE).sum())
        rows.append([name, f"{count}{mark}", f"{len(mine)}{mark}", mean, f"{sure}{mark}"])
    return markdown_table(["Expression", "before", "after", "mean confidence", "sure"], rows)


def _comparison(outcome: Outcome, source_labels: NDArray[np.int64] | None, mark: str) -> list[str]:
    """A table that compares both models without the target's labels, and what it says of the adaptation."""
    labels = np.empty(0, np.int64) if source_labels is None else source_labels[outcome.source.rows]
    scores = scorecard.unlabelled_scores(outcome, labels, range(NUM_CLASSES))
    rows = []
    for name, found in (("before", scores.before), ("after", scores.after)):
        known = f"{100 * found.source_accuracy:.1f}{mark}" if len(labels) else NOTHING
        values = (found.entropy, found.information, found.neighbourhood_density)
        numbers = [f"{value:.3f}{mark}" for value in values]
        rows.append([name, *numbers, known])
    table = markdown_table(["", "entropy", "information", "neighbourhood density", "source accuracy (%)"], rows)
    return [table, DOUBTFUL if scores.after.information < scores.before.information else NO_SIGN]
