"""The content of a page as plain values; ``page.js`` draws it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import plotly.graph_objects as go

from pipeline.evaluation.records import Unlabelled
from pipeline.reporting.markdown import KEPT_SOURCE
from pipeline.reporting.target_tables import doubtful


@dataclass(frozen=True)
class Plot:
    """Figures with a common title, side by side if the page is wide enough.

    Attributes:
        name: ID of its HTML element.
        title: the title.
        panels: the Plotly figures.
        note: a remark below the title.
    """

    name: str
    title: str
    panels: Sequence[go.Figure]
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """``data`` and ``layout`` of each panel as Plotly.js takes them; colours of the page are added there."""
        panels = [figure.to_plotly_json() for figure in self.panels]
        for panel in panels:
            # The library's own style, which is made for light pages; the page has one for light and one for dark.
            panel["layout"].pop("template", None)
        return {"name": self.name, "title": self.title, "note": self.note, "panels": panels}


@dataclass(frozen=True)
class Card:
    """The result of an adaptation, at a glance.

    Attributes:
        numbers: names and values.
        verdict: the verdict, in a few words.
        tone: "good", "bad" or "open".
    """

    numbers: Sequence[tuple[str, str]]
    verdict: str
    tone: Literal["good", "bad", "open"]


def judged_card(numbers: Sequence[tuple[str, str]], scores: Unlabelled, kept_source: bool) -> Card:
    """Return the card of an adaptation to unlabelled pictures.

    Args:
        numbers: names and values.
        scores: label-free scores of both models.
        kept_source: whether the source model is kept.
    """
    if kept_source:
        return Card(numbers, KEPT_SOURCE, "open")
    if doubtful(scores):
        return Card(numbers, "doubtful, judged without labels: mutual information fell", "bad")
    return Card(numbers, "no sign of harm, judged without labels", "open")


@dataclass(frozen=True)
class Sheet:
    """A sprite sheet: small copies of pictures in one image.

    Attributes:
        uri: data URI of the image.
        side: side of a copy, in pixels.
        columns: copies per row.
    """

    uri: str
    side: int
    columns: int


@dataclass(frozen=True)
class Predictions:
    """The table of predictions, by column.

    Attributes:
        note: which pictures are shown.
        picture: file of each picture.
        expression: predicted expression, an index into ``pipeline.labels.EXPRESSIONS``.
        confidence: calibrated confidence.
        label: the label, an index; -1: none.
        before: prediction of the source model, an index; empty if not shown.
        share: confidence of the source model.
        sheet: name of the sprite sheet.
        cell: position of each picture on the sheet; empty without a sheet.
    """

    note: str
    picture: Sequence[str]
    expression: Sequence[int]
    confidence: Sequence[float]
    label: Sequence[int]
    before: Sequence[int]
    share: Sequence[float]
    sheet: str
    cell: Sequence[int]


@dataclass(frozen=True)
class Group:
    """A selectable part of the page: a target, or the source model.

    Attributes:
        name: name in the page's address.
        title: title in the selection.
        mark: mark appended to every number.
        note: a remark on all numbers.
        plots: the plots, in order.
        card: the result; None if there is none.
        predictions: the predictions; None if there are none.
        missing: why there are no predictions.
    """

    name: str
    title: str
    mark: str
    note: str
    plots: Sequence[Plot]
    card: Card | None = None
    predictions: Predictions | None = None
    missing: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the group as JSON values."""
        return {
            "name": self.name,
            "title": self.title,
            "mark": self.mark,
            "note": self.note,
            "plots": [plot.to_json() for plot in self.plots],
            "card": asdict(self.card) if self.card else None,
            "predictions": asdict(self.predictions) if self.predictions else None,
            "missing": self.missing,
        }
