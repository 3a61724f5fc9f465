"""index.html of ``pocan adapt``: the report with interactive plots and predictions."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from pipeline.config.schema import ModelRunParams
from pipeline.data.crops import CropStore
from pipeline.data.outcome import Outcome
from pipeline.data.prepared import PreparedData
from pipeline.evaluation.scorecard import tsne_points
from pipeline.labels import EXPRESSIONS, NUM_CLASSES
from pipeline.own_pictures import report
from pipeline.reporting.figures import ramp_note
from pipeline.reporting.page import pictures, plots
from pipeline.reporting.page.content import Group, Plot, judged_card
from pipeline.reporting.page.document import document
from pipeline.reporting.page.pictures import SetPictures, page_predictions, sample_rows
from pipeline.reporting.results import embedding
from pipeline.reporting.titles import losses_title

FEWEST = 5
"""Minimum number of pictures for t-SNE."""


def html(
    data: report.ReportData,
    text: str,
    source: PreparedData | None,
    table: pd.DataFrame,
    before: NDArray[np.float64],
    curve: pd.DataFrame,
) -> str:
    """Return the text of index.html. It shows the user's pictures; the source's only with ``report.pictures``.

    Args:
        data: the data of the report.
        text: text of report.md.
        source: the source pictures; None if not available.
        table: calibrated predictions for every picture of the store.
        before: calibrated probabilities by the source model for each of them, N×k.
        curve: losses by epoch.
    """
    settings, target, outcome, mark = data.settings, data.target, data.outcome, data.mark
    points = _points(settings, source, target, outcome)
    rows = sample_rows(target.split.test)
    copied = {
        "source": _embedded(points, "source") if settings.report.pictures else set(),
        "target": _embedded(points, "target") | {*rows.tolist()},
    }
    stores: dict[str, CropStore] = {"target": target.store} | ({} if source is None else {"source": source.store})
    shown = {
        domain: pictures.set_pictures(title, domain, stores.get(domain), sorted(copied[domain]))
        for domain, title in (
            ("source", report.source_title(data.provenance, settings.source)),
            ("target", target.name),
        )
    }
    unlabelled = np.full(len(table), -1, np.int64)
    found = page_predictions(
        table, unlabelled, rows, target.split.test, "pictures with a face", shown["target"], before
    )
    drawn = [
        *_tsne(points, shown),
        *plots.losses(
            "adaptation", losses_title(settings.adapt.search > 0), curve, mark, ramp_note(settings.adapt.method)
        ),
    ]
    card = judged_card(_numbers(target, outcome, table, mark), data.scores, data.kept_source)
    group = Group(target.name, target.name, mark, data.note, drawn, card, found)
    sheets = {name: pictures.sheet(stores[name].images, one.cells) for name, one in shown.items() if one.cells}
    return document(text, None, [group], sheets, _expressions(target, outcome, mark), [report.HOW])


def _numbers(target: PreparedData, outcome: Outcome, table: pd.DataFrame, mark: str) -> list[tuple[str, str]]:
    """Return the numbers of the page's card, on the pictures with a face."""
    rows = target.split.test
    before, after = (one.probabilities[rows].argmax(axis=1) for one in (outcome.before, outcome.after))
    sure = int((table["confidence"].iloc[rows] >= report.SURE).sum())
    counts = {"with a face": len(rows), "predictions changed": int((before != after).sum())}
    return [(name, f"{count:,}{mark}") for name, count in (counts | {f"sure ({report.SURE:.0%})": sure}).items()]


def _points(
    settings: ModelRunParams, source: PreparedData | None, target: PreparedData, outcome: Outcome
) -> pd.DataFrame:
    """Return t-SNE points as in the evaluate stage, but with predicted classes as labels of the target."""
    if len(outcome.source.rows) + len(outcome.target.rows) < FEWEST:
        return pd.DataFrame(columns=["stage", "domain", "row", "label", "x", "y"])
    points = tsne_points(source, target, outcome, settings.evaluate.tsne_samples, settings.seed)
    for stage, predicted in (("before", outcome.before), ("after", outcome.after)):
        mine = ((points["stage"] == stage) & (points["domain"] == "target")).to_numpy()
        rows = points["row"].to_numpy()[mine]
        points.loc[mine, "label"] = predicted.probabilities.argmax(axis=1)[rows]
    return points


def _embedded(points: pd.DataFrame, domain: str) -> set[int]:
    return {*points["row"][points["domain"] == domain].tolist()}


def _tsne(points: pd.DataFrame, shown: dict[str, SetPictures]) -> list[Plot]:
    stages = [(name, embedding(rows)) for name in ("before", "after") if len(rows := points[points["stage"] == name])]
    return [plots.tsne(stages, shown["source"], shown["target"], "class (filled ones: predicted)")] if stages else []


def _expressions(target: PreparedData, outcome: Outcome, mark: str) -> Plot:
    """Plot the number of pictures by predicted expression, before and after."""
    figure = go.Figure()
    stages = (("before", outcome.before, plots.BEFORE_COLOUR), ("after", outcome.after, plots.AFTER_COLOUR))
    for name, predicted, colour in stages:
        classes = predicted.probabilities[target.split.test].argmax(axis=1)
        counts = np.bincount(classes, minlength=NUM_CLASSES).tolist()
        hover = f"%{{x}}: %{{y}}{mark} pictures<extra>{name}</extra>"
        figure.add_bar(x=list(EXPRESSIONS), y=counts, name=name, marker_color=colour, hovertemplate=hover)
    figure.update_layout(barmode="group", yaxis={"title": "pictures"}, height=380, legend=plots.ABOVE)
    return Plot("expressions", f"Expressions predicted{mark}", [figure])
