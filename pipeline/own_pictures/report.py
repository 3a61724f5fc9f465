"""The report of an adaptation to the user's own pictures: what came out, and how it looks to one without labels."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.config.schema import Params
from pipeline.data.outcome import Outcome, Predicted
from pipeline.data.prepared import Prepared
from pipeline.evaluation import unlabelled
from pipeline.labels import EXPRESSIONS, NUM_CLASSES
from pipeline.reporting.markdown import MARK_NOTE, NOTHING, markdown_table
from pipeline.reporting.titles import dataset_title

SURE = 0.9
"""The probability from which a prediction counts as sure in the report."""

EXPLAINED = (
    "Entropy of the predictions (less is surer); information: entropy of the mean prediction less that (high where "
    "pictures are predicted surely and the whole variedly); soft neighbourhood density of the embeddings; accuracy on "
    "the source's test pictures, where they are at hand."
)
DOUBTFUL = (
    "**Doubtful**: information fell, so the adapted model tells these pictures apart less well than the source model "
    "did. Look at the predictions before you use it; `--method dt` keeps the source model."
)
NO_SIGN = "No sign of harm: information did not fall."


def text(
    settings: Params, model: str, target: Prepared, outcome: Outcome, source_labels: NDArray[np.int64] | None
) -> str:
    """Markdown. source_labels: of each of the source's crops; None where the source is not at hand."""
    rows = target.split.test
    seen = replace(outcome, before=_only(outcome.before, rows), after=_only(outcome.after, rows))
    source = dataset_title(settings.source)
    drawn = target.store.description["provenance"] == "stand-in"
    parts = [
        f"# {target.name}: adapted by {settings.adapt.title}",
        f"The model `{model}`, trained on {source}, was adapted to {len(rows)} of {len(target.store.images)} readable "
        f"pictures, those with a face; no label was used. How the faces were found: [faces.md](faces.md), and the "
        f"[contact sheets](contact-sheets). Predictions: [predictions.csv](predictions.csv). The model: `model/`, for "
        f"`pocan predict --model`. How training went: [curve.csv](curve.csv).",
        "## Expressions",
        _classes(seen),
        f"Confidence is the probability of the expression that is predicted; sure: {SURE:.0%} or more. How often such "
        "predictions are right is not known without labels: look at some of them.",
        "## Judged without labels",
        *_judged(seen, source_labels),
        EXPLAINED,
        *([MARK_NOTE] if drawn else []),
    ]
    return "\n\n".join(parts) + "\n"


def _only(predicted: Predicted, rows: NDArray[np.int64]) -> Predicted:
    return replace(predicted, probabilities=predicted.probabilities[rows])


def _classes(outcome: Outcome) -> str:
    before, after = outcome.before.probabilities, outcome.after.probabilities
    chosen, sure = after.argmax(axis=1), after.max(axis=1)
    counts = [np.bincount(p.argmax(axis=1), minlength=NUM_CLASSES) for p in (before, after)]
    rows = []
    for index, name in enumerate(EXPRESSIONS):
        mine = sure[chosen == index]
        mean = f"{mine.mean():.2f}" if len(mine) else NOTHING
        rows.append([name, str(counts[0][index]), str(counts[1][index]), mean, str(int((mine >= SURE).sum()))])
    rows.append(["all", str(len(before)), str(len(after)), f"{sure.mean():.2f}", str(int((sure >= SURE).sum()))])
    head = ["Expression", "before", "after", "mean confidence", "sure"]
    return markdown_table(head, rows)


def _judged(outcome: Outcome, source_labels: NDArray[np.int64] | None) -> list[str]:
    """The table of both models, and what it says of the adaptation."""
    labels = np.empty(0, np.int64) if source_labels is None else source_labels[outcome.source.rows]
    judged = unlabelled.judge(outcome, labels, range(NUM_CLASSES))
    rows = []
    for name, found in judged.items():
        known = f"{100 * found['source_accuracy']:.1f}" if len(labels) else NOTHING
        numbers = [f"{found[key]:.3f}" for key in ("entropy", "information", "neighbourhood_density")]
        rows.append([name, *numbers, known])
    table = markdown_table(["", "entropy", "information", "neighbourhood density", "source accuracy (%)"], rows)
    return [table, DOUBTFUL if judged["after"]["information"] < judged["before"]["information"] else NO_SIGN]
