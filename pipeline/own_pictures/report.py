"""report.md of ``pocan adapt``: what was done, the predictions, and label-free scores."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config.schema import ModelRunParams
from pipeline.data.outcome import Outcome, Predictions
from pipeline.data.prepared import PreparedData
from pipeline.evaluation import scorecard
from pipeline.evaluation.records import ProvenancePair, Unlabelled
from pipeline.labels import DRAWN_MARK, EXPRESSIONS, NUM_CLASSES
from pipeline.networks.encoder_statistics import StatisticsChoice
from pipeline.own_pictures import changed, verdicts
from pipeline.own_pictures.changed import Change
from pipeline.own_pictures.labelled import Verdict
from pipeline.reporting.folder_faces import found_by
from pipeline.reporting.markdown import MARK_NOTE, NOTHING, markdown_table
from pipeline.reporting.target_tables import doubtful
from pipeline.reporting.titles import dataset_title

SURE = 0.9
"""Minimum probability of a prediction that the report calls sure."""

CALIBRATED = "calibrated on the source's test pictures"
UNCALIBRATED = "not calibrated, because an imported model has no source pictures"

EXPLAINED = (
    "Entropy of the predictions: low if the model is certain. Mutual information: the entropy of the mean prediction "
    "minus the mean entropy; high if each prediction is certain and all together are varied. Neighbourhood density: "
    "high if most pictures have many others that are predicted alike. Source accuracy: on the test pictures of the set "
    "that the source model was trained on, if they are here."
)
DOUBTFUL = (
    "**Doubtful**: mutual information fell, so the adapted model separates these pictures less well than the source "
    "model. Look at the predictions before you use it; `--method dt` keeps the source model."
)
NO_SIGN = "No sign of harm: mutual information did not fall."
SAME = "The source model is kept, so both rows are of the same model."
HOW = "How it was made"


def note(provenance: ProvenancePair, source: str) -> str:
    """Return the explanation of the mark for drawn pictures; empty if none are drawn.

    Args:
        provenance: provenance of the model's pictures and of the user's.
        source: the data set that the model was trained on.
    """
    drawn_source, drawn_target = (one == "stand-in" for one in (provenance.source, provenance.target))
    if drawn_source and not drawn_target:
        return (
            f"{DRAWN_MARK} The model was trained on drawings in the layout of {dataset_title(source)}, not on "
            "photographs. It shows how this works; its predictions for your pictures mean little."
        )
    return MARK_NOTE if drawn_target else ""


def source_title(provenance: ProvenancePair, source: str) -> str:
    """Return the name of the data that the model was trained on."""
    return f"{'drawn stand-ins of ' * (provenance.source == 'stand-in')}{dataset_title(source)}"


@dataclass(frozen=True, eq=False)
class ReportData:
    """The data of the report.

    Attributes:
        settings: the parameters of the run.
        model: the source model, as the user named it.
        why: the reason for the method, as the end of a sentence.
        target: the user's pictures.
        unit: "picture" or "frame".
        outcome: the predictions of both models.
        kept_epoch: the kept epoch; 0: the model before training.
        statistics: which statistics the encoder has.
        moved: share of pictures whose predicted class differs between the last epoch's model and the source model.
        scores: the label-free scores (``judged``).
        with_source: whether the source pictures are available.
        predictions: expression and calibrated confidence of every predicted picture.
        changes: the pictures whose predicted class has changed.
        validations: the validators' values, one row per epoch.
        verdict: the result of the user's labels; None without labels.
        queries: the pictures to label next.
        provenance: whether the model's pictures and the user's are drawn.
        imported: whether the model is an imported one, without source pictures.
        known: the expressions that occur, as the user has stated; None: unknown.
    """

    settings: ModelRunParams
    model: str
    why: str
    target: PreparedData
    unit: str
    outcome: Outcome
    kept_epoch: int
    statistics: StatisticsChoice
    moved: float
    scores: Unlabelled
    with_source: bool
    predictions: pd.DataFrame
    changes: Sequence[Change]
    validations: pd.DataFrame
    verdict: Verdict | None
    queries: Sequence[str]
    provenance: ProvenancePair
    imported: bool
    known: Sequence[str] | None = None

    @property
    def note(self) -> str:
        """The explanation of the mark for drawn pictures; empty if none are drawn."""
        return note(self.provenance, self.settings.source)

    @property
    def kept_source(self) -> bool:
        """Whether the source model is kept unchanged: by a rule, by labels, or because the method is DT."""
        return self.kept_epoch == 0 and self.statistics.unchanged and not self.fitted

    @property
    def fitted(self) -> bool:
        """Whether a fit to the user's labels is kept."""
        return self.verdict is not None and self.verdict.kept.name == "fit"

    @property
    def mark(self) -> str:
        """The mark appended to every number if pictures are drawn, else ""."""
        return f" {DRAWN_MARK}" if self.note else ""


def text(data: ReportData) -> str:
    """Return the text of report.md."""
    target, settings, mark = data.target, data.settings, data.mark
    rows = target.split.test
    title, what = _heading(data)
    labels = 0 if data.verdict is None else len(data.verdict.labels)
    parts = [
        f"# {target.name}: {title}",
        f"{what} {len(rows)} of {len(target.store.images)} readable {data.unit}s, those with a face: "
        f"{found_by(target.store)}. {_labels_used(data.verdict)} Predictions: [predictions.csv](predictions.csv).",
        data.note,
        "## What was done",
        verdicts.done(settings.adapt, data.why),
        verdicts.of_statistics(data.statistics, mark),
        verdicts.of_grey_levels(data.statistics, mark),
        verdicts.of_restoration(data.statistics, mark),
        "" if data.known is None else f"Only the expressions that you named can be predicted: {', '.join(data.known)}.",
        *_kept(data),
        "## Expressions",
        _classes(_only(data.outcome.before, rows), data.predictions, data.unit, mark),
        f"Confidence is the probability of the predicted expression, {_calibrated(data)}. Sure means {SURE:.0%} or "
        f"more. {_how_often(data.verdict)}",
        changed.section(data.changes, data.unit, mark),
        verdicts.next_labels(labels, data.queries),
        "## Judged without labels",
        _comparison(data.scores, data.with_source, mark),
        _sign(data),
        EXPLAINED,
        f"## {HOW}",
        f"Source model: `{data.model}`, trained on {source_title(data.provenance, settings.source)}. Faces: "
        "[faces.md](faces.md) and the [contact sheets](contact-sheets). Adapted model: `model/`, for `pocan "
        "predict --model`. Training curves: [curve.csv](curve.csv).",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def judged(
    target: PreparedData,
    outcome: Outcome,
    source_labels: NDArray[np.int64] | None,
    known: Sequence[str] | None = None,
) -> Unlabelled:
    """Return label-free scores of both models on the user's pictures with a face.

    Args:
        target: the user's pictures.
        outcome: the predictions of both models.
        source_labels: labels of all source crops; None if the source is not available.
        known: the expressions that occur; None: unknown.
    """
    rows = target.split.test
    embedded, ranks = outcome.target.rows, outcome.target.ranks[np.isin(outcome.target.rows, rows)]
    sample = replace(outcome.target, rows=np.flatnonzero(np.isin(rows, embedded)), ranks=ranks)
    with_faces = replace(outcome, target=sample, before=_only(outcome.before, rows), after=_only(outcome.after, rows))
    labels = np.empty(0, np.int64) if source_labels is None else source_labels[outcome.source.rows]
    possible = [EXPRESSIONS.index(name) for name in known or EXPRESSIONS]
    return scorecard.unlabelled_scores(with_faces, labels, possible)


def _heading(data: ReportData) -> tuple[str, str]:
    """Return the report's title, and the beginning of the sentence with the number of pictures."""
    method = data.settings.adapt
    if data.fitted:
        return "fitted to your labels", "The fitted model predicts"
    if not method.adapts:
        return "predicted by the source model", "The source model predicts"
    if data.kept_source:
        return "the source model is kept", f"{method.title} was tried on"
    if data.kept_epoch == 0:
        return f"the source model with {verdicts.taken_over(data.statistics)}", f"{method.title} was tried on"
    return f"adapted by {method.title}", "The model was adapted to"


def _sign(data: ReportData) -> str:
    """Return the sentence on whether the adaptation looks harmful."""
    if data.kept_source:
        return SAME
    return DOUBTFUL if doubtful(data.scores) else NO_SIGN


def _labels_used(verdict: Verdict | None) -> str:
    return "No label was used." if verdict is None else f"{len(verdict.labels)} of your labels were used."


def _kept(data: ReportData) -> list[str]:
    """Return the paragraph on which model is kept and why."""
    if data.verdict is not None:
        return [verdicts.of_labels(data.verdict, data.mark)]
    taken = verdicts.taken_over(data.statistics)
    return [verdicts.kept(data.settings.adapt, data.kept_epoch, data.validations, data.moved, data.mark, taken)]


def _calibrated(data: ReportData) -> str:
    if data.verdict is not None:
        return "calibrated by your labels"
    return UNCALIBRATED if data.imported else CALIBRATED


def _how_often(verdict: Verdict | None) -> str:
    if verdict is not None:
        return "Your labels above show how often these predictions are right."
    return "Without labels nobody knows how often these predictions are right: look at some of them."


def _only(predicted: Predictions, rows: NDArray[np.int64]) -> Predictions:
    return replace(predicted, probabilities=predicted.probabilities[rows])


def _classes(before: Predictions, predictions: pd.DataFrame, unit: str, mark: str) -> str:
    counts = np.bincount(before.probabilities.argmax(axis=1), minlength=NUM_CLASSES)
    rows = []
    for name, count in [*zip(EXPRESSIONS, counts, strict=True), ("all", len(predictions))]:
        mine = predictions if name == "all" else predictions[predictions["expression"] == name]
        mean = f"{mine['confidence'].mean():.2f}{mark}" if len(mine) else NOTHING
        sure = int((mine["confidence"] >= SURE).sum())
        rows.append([name, f"{count}{mark}", f"{len(mine)}{mark}", mean, f"{sure}{mark}"])
    return markdown_table(["Expression", f"{unit}s before", f"{unit}s after", "mean confidence", f"sure {unit}s"], rows)


def _comparison(scores: Unlabelled, with_source: bool, mark: str) -> str:
    """Return the table of both models' label-free scores."""
    rows = []
    for name, found in (("before", scores.before), ("after", scores.after)):
        known = f"{100 * found.source_accuracy:.1f}{mark}" if with_source else NOTHING
        values = (found.entropy, found.information, found.neighbourhood_density)
        rows.append([name, *(f"{value:.3f}{mark}" for value in values), known])
    return markdown_table(["", "entropy", "mutual information", "neighbourhood density", "source accuracy (%)"], rows)
