"""Model cards (Mitchell et al., FAT* 2019): a model's data, scores, intended use and licences."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.backbones import BACKBONES
from pipeline.config.methods import METHODS
from pipeline.evaluation.records import Metrics, Result
from pipeline.exporting import use
from pipeline.labels import EXPRESSIONS
from pipeline.networks.trained import TrainedModel
from pipeline.reporting.markdown import MARK_NOTE, NOTHING, accuracy_cells, markdown_table, marked, percent
from pipeline.reporting.titles import dataset_title
from pipeline.validators import LAST


@dataclass(frozen=True, eq=False)
class Scored:
    """The scores of a model.

    Attributes:
        result: the scores.
        adapted_to: whether the model was adapted to each test picture, n_test bool; None: unknown.
    """

    result: Result
    adapted_to: NDArray[np.bool_] | None


def card(
    trained: TrainedModel, called: str, scored: Scored | None, files: Mapping[str, str], latency: use.Latency
) -> str:
    """Return the text of card.md.

    Args:
        trained: the model.
        called: the folder or URI from which it was exported.
        scored: its scores, if known.
        files: description of each exported file.
        latency: latency of the exported file.
    """
    made = trained.description
    name = dataset_title(made["target"]["name"]) if trained.adapted else dataset_title(made["source"]["name"])
    sections = [
        f"# Facial expressions: a model for {name}",
        "Seven probabilities (" + ", ".join(EXPRESSIONS) + ") for the crop of one face.",
        f"Exported on {date.today().isoformat()} by version {version('pocan')} of this project.",
        "## How do I use it?",
        use.how_to_use(called),
        "## How are faces cropped?",
        use.crop_recipe(trained.every_face),
        "## What was it made from?",
        _origin(trained, made),
        "## How good is it?",
        _scores(scored),
        "## How fast is it?",
        use.speed(latency),
        "## What is it for, and what not?",
        _use(trained),
    ]
    sections += ["## Licences", use.licences(trained)]
    if files:
        sections += ["## Files", "\n".join(f"- `{file}`: {what}" for file, what in files.items())]
    return "\n\n".join(sections) + "\n"


USE = """\
- For research on facial expression recognition, and for sorting pictures if the people in them agree.
- It says which of seven posed or acted expressions a face resembles most. It does not say what a person feels, means, \
or will do: an expression does not show a feeling reliably (Barrett et al., 2019).
- Not for decisions about people: hiring, grading, policing, medicine, credit, insurance. The European Union's AI Act \
forbids inferring emotions at work and in education.
- It errs most on cameras, ages, skin tones and cultures that its pictures lack; nobody has measured it there. Test it \
on your own labelled pictures before you rely on it.
"""

CALIBRATED = "- Probabilities are calibrated on the source's test pictures; on other pictures they may be too high."
UNCALIBRATED = "- Probabilities are the imported network's own; they were not calibrated here and may be too high."


BY_LABELS = "- Probabilities are calibrated on the given labels of the target; on other pictures they may be too high."


def _use(trained: TrainedModel) -> str:
    if "labels" in trained.description:
        return USE + BY_LABELS
    return USE + (UNCALIBRATED if trained.imported else CALIBRATED)


def _origin(trained: TrainedModel, made: Mapping[str, Any]) -> str:
    lines = [] if trained.imported else [_data("Source, with labels", made["source"])]
    if trained.imported:
        lines += _imported(made)
    if trained.adapted:
        method = METHODS[made["adapt"]["method"]]
        given = sum(made["labels"]["counts"].values()) if "labels" in made else 0
        lines.append(_data(f"Target, with {given} labels" if given else "Target, without labels", made["target"]))
        trained_for = "without training" if method.changes == "decision" else f"{made['adapt']['epochs']} epochs"
        lines.append(f"Method: {method.title} ({method.citation}), {trained_for}")
        if method.adapts and not given and made.get("kept_epoch") == 0:
            lines.append(
                f"Kept without labels, by `adapt.choose: {made['adapt'].get('choose', LAST)}`: the source model"
            )
        taken = made.get("encoder_statistics", {})
        if taken.get("matched"):
            lines.append("Grey levels of pictures: mapped to the source's by a tone curve (`adapt.histogram_matching`)")
        if taken.get("chosen") == "target":
            lines.append("Batch norms of the encoder: means and variances of the target (`adapt.encoder_statistics`)")
        if taken.get("restored"):
            enlarged = f", enlarged from {taken['side']} pixels" if taken.get("side") else ""
            camera = f"blur {taken['blur']:.1f} pixels, noise {taken['noise']:.1f} grey levels{enlarged}"
            lines.append(f"Features: restored by a linear map for the target's camera ({camera}; `adapt.restoration`)")
        if given:
            said = made["labels"]
            kept = {"source": "the source model", "adapted": "the adapted model", "fit": "a fit to the labels"}
            lines.append(f"Kept by cross-validation: {kept[said['kept']]}, right on {said['right']} of {given} labels")
    if not trained.imported:
        weights = BACKBONES[trained.params.backbone].weights[trained.params.weights]
        lines.append(
            f"Network: {trained.params.backbone}, initial weights {weights.title} ({weights.origin.rstrip('.')})"
        )
        lines.append(f"Seed {made['seed']}")
    lines.append(f"Weights SHA-256 `{made['weights_sha256']}`")
    lines.append("The licences of the data sets and of the initial weights also bind this model.")
    return "\n".join(f"- {line}" for line in lines)


def _imported(made: Mapping[str, Any]) -> list[str]:
    """Return the lines on the origin of an imported network."""
    origin = made["imported"]
    kind = made["model"]["architecture"] or BACKBONES.title(made["model"]["backbone"])
    lines = [
        f"Imported: {origin['from']} (file {origin['weights_name']}, SHA-256 `{origin['weights_sha256']}`), "
        f"trained elsewhere on {dataset_title(made['source']['name'])}",
        f"Network: {kind} with a linear classifier of {len(origin['classes'])} classes: {', '.join(origin['classes'])}",
    ]
    if origin["left_out"]:
        lines.append(f"Left out; the other probabilities are scaled to sum to 1: {', '.join(origin['left_out'])}")
    if origin["missing"]:
        lines.append(f"Never predicted, because the network does not have it: {', '.join(origin['missing'])}")
    return lines


def _data(role: str, described: Mapping[str, Any]) -> str:
    drawn = ", **drawn stand-ins**" if described["provenance"] == "stand-in" else ""
    return (
        f"{role}: {dataset_title(described['name'])}{drawn}, {described['train']:,} pictures "
        f"(digest `{described['digest'][:12]}`)"
    )


def _scores(scored: Scored | None) -> str:
    if scored is None or scored.result.after is None:
        return f"Its score is not known: its target has no labels, or its results were not here. {MEASURE}"
    result, after, before = scored.result, scored.result.after, scored.result.before
    earlier = f", before adaptation {percent(before.accuracy, result)} %" if before and result.adapts else ""
    text = (
        f"On {result.n_test:,} test pictures of {dataset_title(result.target)}: accuracy "
        f"{accuracy_cells(result, after)[0]} %, balanced accuracy "
        f"{percent(after.balanced_accuracy, result)} %{earlier}."
    )
    cells = []
    for name, f1, row, count in zip(EXPRESSIONS, after.f1, after.confusion, after.support, strict=True):
        recall = percent(row[EXPRESSIONS.index(name)] / count, result) if count else NOTHING
        cells.append([name, f"{count:,}", recall, NOTHING if f1 is None else marked(f"{f1:.3f}", result)])
    parts = [
        text,
        *([_adapted_to(scored)] if result.adapts else []),
        markdown_table(["expression", "test pictures", "recall (%)", "F1"], cells),
        "Confusion matrix (pictures; rows are the true expression, columns the prediction):",
        _confusion(after),
        f"{GROUPS} {MEASURE}",
    ]
    return "\n\n".join([*parts, MARK_NOTE] if result.drawn else parts)


MEASURE = "To score it on your own labelled pictures: `pocan score`."

GROUPS = (
    "Nothing is measured by sex, age or skin tone: this project's readers do not read these groups, even if a set's "
    "annotation has them."
)


def _confusion(after: Metrics) -> str:
    rows = zip(EXPRESSIONS, after.confusion, strict=True)
    return markdown_table(["", *EXPRESSIONS], [[name, *(f"{count:,}" for count in row)] for name, row in rows])


def _adapted_to(scored: Scored) -> str:
    """Describe accuracy on the test pictures that the model was adapted to, and on the others."""
    result, seen = scored.result, scored.adapted_to
    if seen is None or result.tested is None:
        return "It is not known whether the model was adapted to these pictures (without their labels)."
    right = result.tested.classes("after") == result.tested.classes("labels")
    if seen.all():
        text = "The model was adapted to all of them, without labels; its score on other pictures is not known."
    elif not seen.any():
        text = "The model was not adapted to any of them."
    else:
        there, others = (percent(float(right[rows].mean()), result) for rows in (seen, ~seen))
        text = (
            f"On the {int(seen.sum()):,} of them that it was adapted to, without labels, accuracy {there} %; on the "
            f"{int((~seen).sum()):,} others {others} %."
        )
    shared = result.split.test_in_train
    kinds = (("subject", shared.subject), ("sequence", shared.sequence))
    alike = [f"{count:,} are of a {unit} that it was adapted to" for unit, count in kinds if count]
    return " ".join([text, *([f"Of the test pictures {', '.join(alike)}."] if alike else [])])
