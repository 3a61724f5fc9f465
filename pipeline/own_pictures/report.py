"""The report of an adaptation to the user's own pictures: predictions, and what can be said of them without labels."""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config.schema import Params
from pipeline.data.outcome import Outcome, Predictions
from pipeline.data.prepared import PreparedData
from pipeline.evaluation import scorecard
from pipeline.evaluation.records import ProvenancePair, Unlabelled
from pipeline.labels import DRAWN_MARK, EXPRESSIONS, NUM_CLASSES
from pipeline.reporting.folder_faces import found_by
from pipeline.reporting.markdown import MARK_NOTE, NOTHING, markdown_table
from pipeline.reporting.target_tables import doubtful
from pipeline.reporting.titles import dataset_title
from pipeline.validators import chooser

SURE = 0.9
"""The probability from which a prediction counts as sure in the report."""

CALIBRATED = "calibrated on the source's test pictures"
UNCALIBRATED = "not calibrated, as no picture of the source came with the imported model"

EXPLAINED = (
    "Entropy of the predictions: low where the model is sure. Mutual information: the entropy of the mean prediction "
    "minus that entropy; high where the model is sure of each picture and does not say the same of all. Soft "
    "neighbourhood density of the predictions. Accuracy on the source's test pictures, where they are at hand."
)
DOUBTFUL = (
    "**Doubtful**: mutual information fell, so the adapted model tells these pictures apart less well than the source "
    "model did. Look at the predictions before you use it; `--method dt` keeps the source model."
)
NO_SIGN = "No sign of harm: mutual information did not fall."
HOW = "How it was made"


def note(provenance: ProvenancePair, source: str) -> str:
    """What the mark means here: which of the pictures behind the numbers are drawn; empty: none is.

    Args:
        provenance: of the model's pictures, and of the user's.
        source: the data set that the model was trained on.
    """
    drawn_source, drawn_target = (one == "stand-in" for one in (provenance.source, provenance.target))
    if drawn_source and not drawn_target:
        return (
            f"{DRAWN_MARK} By a model that has learned from drawings in the layout of {dataset_title(source)}, not "
            "from photographs: it shows how this works, and says little of your pictures."
        )
    return MARK_NOTE if drawn_target else ""


def source_title(provenance: ProvenancePair, source: str) -> str:
    """What the model was trained on."""
    return f"{'drawn stand-ins of ' * (provenance.source == 'stand-in')}{dataset_title(source)}"


def text(
    settings: Params,
    model: str,
    target: PreparedData,
    unit: str,
    outcome: Outcome,
    kept_epoch: int,
    scores: Unlabelled,
    with_source: bool,
    predictions: pd.DataFrame,
    provenance: ProvenancePair,
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
        scores: by ``judged``.
        with_source: whether the source is at hand.
        predictions: expression and calibrated confidence of every picture that is predicted.
        provenance: whether the model's pictures and the user's are drawn.
        calibration: what is said of the probabilities.
    """
    rows, said = target.split.test, note(provenance, settings.source)
    mark = f" {DRAWN_MARK}" if said else ""
    before = _only(outcome.before, rows)
    parts = [
        f"# {target.name}: adapted by {settings.adapt.title}",
        f"The model was adapted to {len(rows)} of {len(target.store.images)} readable {unit}s, those with a face: "
        f"{found_by(target.store)}. No label was used. Predictions: [predictions.csv](predictions.csv).",
        *([said] if said else []),
        "## Expressions",
        _classes(before, predictions, mark),
        f"Confidence is the probability of the expression that is predicted, {calibration}; "
        f"sure: {SURE:.0%} or more. How often such predictions are right here is not known without labels: look at "
        "some of them.",
        "## Judged without labels",
        _comparison(scores, with_source, mark),
        DOUBTFUL if doubtful(scores) else NO_SIGN,
        EXPLAINED,
        f"## {HOW}",
        f"From the model `{model}`, trained on {source_title(provenance, settings.source)}. How the faces were found: "
        "[faces.md](faces.md), and the [contact sheets](contact-sheets). The model: `model/`, for `pocan predict "
        f"--model`. How training went: [curve.csv](curve.csv).{_kept(settings, kept_epoch)}",
    ]
    return "\n\n".join(parts) + "\n"


def judged(target: PreparedData, outcome: Outcome, source_labels: NDArray[np.int64] | None) -> Unlabelled:
    """Both models' scores on the user's pictures with a face, without labels of these.

    Args:
        target: the user's pictures.
        outcome: what both models predict.
        source_labels: of each of the source's crops; None where the source is not at hand.
    """
    rows = target.split.test
    embedded, ranks = outcome.target.rows, outcome.target.ranks[np.isin(outcome.target.rows, rows)]
    sample = replace(outcome.target, rows=np.flatnonzero(np.isin(rows, embedded)), ranks=ranks)
    with_faces = replace(outcome, target=sample, before=_only(outcome.before, rows), after=_only(outcome.after, rows))
    labels = np.empty(0, np.int64) if source_labels is None else source_labels[outcome.source.rows]
    return scorecard.unlabelled_scores(with_faces, labels, range(NUM_CLASSES))


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


def _comparison(scores: Unlabelled, with_source: bool, mark: str) -> str:
    """A table that compares both models without the target's labels."""
    rows = []
    for name, found in (("before", scores.before), ("after", scores.after)):
        known = f"{100 * found.source_accuracy:.1f}{mark}" if with_source else NOTHING
        values = (found.entropy, found.information, found.neighbourhood_density)
        rows.append([name, *(f"{value:.3f}{mark}" for value in values), known])
    return markdown_table(["", "entropy", "mutual information", "neighbourhood density", "source accuracy (%)"], rows)
