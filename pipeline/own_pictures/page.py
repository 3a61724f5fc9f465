"""index.html of an adaptation to the user's own pictures: the report to look at, with plots and predictions."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pipeline.config.schema import Params
from pipeline.data.crops import CropStore
from pipeline.data.outcome import Outcome
from pipeline.data.prepared import PreparedData
from pipeline.evaluation.scorecard import tsne_points
from pipeline.labels import EXPRESSIONS, NUM_CLASSES
from pipeline.reporting.page import pictures, plots
from pipeline.reporting.page.content import Group, Plot
from pipeline.reporting.page.document import document
from pipeline.reporting.page.pictures import SetPictures, page_predictions, sample_rows
from pipeline.reporting.results import embedding
from pipeline.reporting.titles import dataset_title

FEWEST = 5
"""Pictures without which t-SNE shows nothing."""


def html(
    settings: Params,
    report: str,
    source: PreparedData | None,
    target: PreparedData,
    outcome: Outcome,
    table: pd.DataFrame,
    curve: pd.DataFrame,
    mark: str,
) -> str:
    """The text of index.html.

    Args:
        settings: the parameters of the run.
        report: the text of report.md.
        source: the source's pictures; None where they are not at hand.
        target: the user's pictures.
        outcome: what both models predict.
        table: the prediction of every picture of the store, at the model's temperature.
        curve: losses by epoch.
        mark: stands after every number where pictures are drawn, else "".
    """
    points = _points(settings, source, target, outcome)
    rows = sample_rows(target.split.test)
    shown = {
        domain: pictures.set_pictures(title, domain, store, _copied_rows(settings, points, domain, more))
        for domain, title, store, more in (
            ("source", dataset_title(settings.source), None if source is None else source.store, set()),
            ("target", target.name, target.store, set(rows.tolist())),
        )
    }
    unlabelled = np.full(len(table), -1, np.int64)
    found = page_predictions(table, unlabelled, rows, target.split.test, "pictures with a face", shown["target"])
    drawn = [
        _expressions(target, outcome, mark),
        *_tsne(points, shown),
        *plots.curves("adaptation", "Adaptation by epoch; the legend shows further curves", curve, mark),
    ]
    stores: dict[str, CropStore] = {"target": target.store} | ({} if source is None else {"source": source.store})
    sheets = {name: pictures.sheet(stores[name].images, one.cells) for name, one in shown.items() if one.cells}
    return document(report, [Group(target.name, target.name, mark, "", drawn, found)], sheets)


def _points(settings: Params, source: PreparedData | None, target: PreparedData, outcome: Outcome) -> pd.DataFrame:
    """t-SNE as the evaluate stage has it, except that a target picture's label is the class that is predicted."""
    if len(outcome.source.rows) + len(outcome.target.rows) < FEWEST:
        return pd.DataFrame(columns=["stage", "domain", "row", "label", "x", "y"])
    points = tsne_points(source, target, outcome, settings.evaluate.tsne_samples, settings.seed)
    for stage, predicted in (("before", outcome.before), ("after", outcome.after)):
        mine = ((points["stage"] == stage) & (points["domain"] == "target")).to_numpy()
        rows = points["row"].to_numpy()[mine]
        points.loc[mine, "label"] = predicted.probabilities.argmax(axis=1)[rows]
    return points


def _copied_rows(settings: Params, points: pd.DataFrame, domain: str, more: set[int]) -> list[int]:
    """The rows of the pictures that the page holds copies of."""
    return sorted({*points["row"][points["domain"] == domain], *more}) if settings.report.pictures else []


def _tsne(points: pd.DataFrame, shown: dict[str, SetPictures]) -> list[Plot]:
    stages = [(name, embedding(rows)) for name in ("before", "after") if len(rows := points[points["stage"] == name])]
    return (
        [plots.tsne(stages, shown["source"], shown["target"], "class (as predicted, of triangles)")] if stages else []
    )


def _expressions(target: PreparedData, outcome: Outcome, mark: str) -> Plot:
    """How many pictures are predicted each expression, before and after."""
    figure = go.Figure()
    stages = (("before", outcome.before, plots.BEFORE_COLOUR), ("after", outcome.after, plots.AFTER_COLOUR))
    for name, predicted, colour in stages:
        classes = predicted.probabilities[target.split.test].argmax(axis=1)
        counts = np.bincount(classes, minlength=NUM_CLASSES).tolist()
        hover = f"%{{x}}: %{{y}}{mark} pictures<extra>{name}</extra>"
        figure.add_bar(x=list(EXPRESSIONS), y=counts, name=name, marker_color=colour, hovertemplate=hover)
    figure.update_layout(barmode="group", yaxis={"title": "pictures"}, height=380)
    return Plot("expressions", "Expressions predicted", figure)
