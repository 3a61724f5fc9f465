"""What a page shows, as plain values; ``page.js`` draws it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import plotly.graph_objects as go

from pipeline.evaluation.records import Unlabelled
from pipeline.reporting.markdown import KEPT_SOURCE
from pipeline.reporting.target_tables import doubtful


@dataclass(frozen=True)
class Plot:
    """Figures under one title, side by side where the page is wide enough.

    Attributes:
        name: the id of its place on the page.
        title: what stands above it.
        panels: what Plotly.js draws.
        note: what must be known of it.
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
    """What came out, at a glance.

    Attributes:
        numbers: each with what it is.
        verdict: in a few words.
        tone: "good", "bad" or "open".
    """

    numbers: Sequence[tuple[str, str]]
    verdict: str
    tone: Literal["good", "bad", "open"]


def judged_card(numbers: Sequence[tuple[str, str]], scores: Unlabelled, kept_source: bool) -> Card:
    """The card of an adaptation to pictures without labels.

    Args:
        numbers: what stands on it, by name.
        scores: of both models, without labels.
        kept_source: whether the source model is the one that is kept.
    """
    if kept_source:
        return Card(numbers, KEPT_SOURCE, "open")
    if doubtful(scores):
        return Card(numbers, "doubtful, judged without labels: mutual information fell", "bad")
    return Card(numbers, "no sign of harm, judged without labels", "open")


@dataclass(frozen=True)
class Sheet:
    """Small copies of pictures on one large picture.

    Attributes:
        uri: a data URI, the large picture itself.
        side: of each copy, in pixels.
        columns: copies in a row.
    """

    uri: str
    side: int
    columns: int


@dataclass(frozen=True)
class Predictions:
    """The table of predictions, a column a field.

    Attributes:
        note: which pictures these are.
        picture: each one's file.
        expression: the expression predicted, an index into ``pipeline.labels.EXPRESSIONS``.
        confidence: calibrated.
        label: an index likewise; -1 where there is none.
        before: what the source model predicts, an index likewise; empty: that is not shown.
        share: its confidence.
        sheet: the name of the sheet that shows the pictures.
        cell: each one's place on it; empty without a sheet.
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
    """What the page shows at a time: a target, or the source model.

    Attributes:
        name: what the page's address calls it.
        title: what people choose it by.
        mark: stands after every number.
        note: what must be known of all of them.
        plots: in their order on the page.
        card: what came out; None: nothing was judged.
        predictions: None where there are none.
        missing: why there are none.
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
        """Lists and numbers alone."""
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
