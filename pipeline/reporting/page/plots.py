"""The plots of one target: F1 by class, confusion, reliability and t-SNE, as ``reporting.figures`` draws them on paper.

A class has the same colour in every plot, on light and on dark pages. Numbers that are shown carry ``mark``.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pipeline.evaluation.records import Metrics
from pipeline.labels import EXPRESSIONS
from pipeline.reporting.figures import CLASS_COLOURS
from pipeline.reporting.page.content import Plot
from pipeline.reporting.page.pictures import SetPictures
from pipeline.reporting.results import Embedding, Evaluation
from pipeline.reporting.titles import method_title

COLOURS = (*CLASS_COLOURS[:-1], "#8A8A8A", "#C8C8C8")
"""As in the figures, but for neutral, which would vanish on a dark page; the last one is of pictures without label."""

BEFORE_COLOUR, AFTER_COLOUR = "#8FA8BF", "#2F7FC1"


def of_target(evaluation: Evaluation, mark: str, source: SetPictures, target: SetPictures) -> list[Plot]:
    """What the results allow: a target without labels has t-SNE alone.

    Args:
        evaluation: one target.
        mark: stands after every number.
        source: what is shown of the source's pictures under the pointer.
        target: what is shown of the target's.
    """
    result = evaluation.result
    names = {"before": "before: DT"} | ({"after": f"after: {method_title(result)}"} if result.adapts else {})
    scores = {"before": result.before, "after": result.after}
    known = [(name, metrics) for stage, name in names.items() if (metrics := scores[stage]) is not None]
    plots = [_f1_bars(known, mark), _confusions(known, mark), _reliability(evaluation, mark)] if known else []
    embeddings = [(names[stage], embedding) for stage, embedding in evaluation.tsne.items() if stage in names]
    return [*plots, tsne(embeddings, source, target, "class")]


def _f1_bars(stages: Sequence[tuple[str, Metrics]], mark: str) -> Plot:
    """A bar a class and stage; a class without F1 has none."""
    names = [f"{name}<br>n = {count}{mark}" for name, count in zip(EXPRESSIONS, stages[0][1].support, strict=True)]
    figure = go.Figure()
    for (name, metrics), colour in zip(stages, (BEFORE_COLOUR, AFTER_COLOUR), strict=False):
        figure.add_bar(
            x=names,
            y=list(metrics.f1),
            name=f"{name}, macro F1 {metrics.macro_f1:.3f}{mark}",
            marker_color=colour,
            hovertemplate=f"%{{x}}: F1 %{{y:.3f}}{mark}<extra>{name}</extra>",
        )
    figure.update_layout(barmode="group", yaxis={"range": [0, 1], "title": "F1"}, height=380)
    figure.update_layout(legend={"orientation": "h", "y": 1.12})
    return Plot("f1", "F1 by class", figure)


def _confusions(stages: Sequence[tuple[str, Metrics]], mark: str) -> Plot:
    """Row-normalised; the colour is the share of the true class, the number the count."""
    titles = [
        f"{name}, accuracy {100 * one.accuracy:.1f}{mark} %, balanced {100 * one.balanced_accuracy:.1f}{mark} %"
        for name, one in stages
    ]
    figure = make_subplots(1, len(stages), subplot_titles=titles, shared_yaxes=True, horizontal_spacing=0.04)
    for column, (_, metrics) in enumerate(stages, start=1):
        counts = np.array(metrics.confusion)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        figure.add_heatmap(
            x=list(EXPRESSIONS),
            y=list(EXPRESSIONS),
            z=shares.round(4).tolist(),
            text=[[str(count) if count else "" for count in row] for row in counts.tolist()],
            texttemplate="%{text}",
            textfont={"size": 13},
            hovertemplate=f"true %{{y}}, predicted %{{x}}: %{{text}}{mark}, %{{z:.1%}}{mark} of the class"
            "<extra></extra>",
            zmin=0,
            zmax=1,
            xgap=1,
            ygap=1,
            showscale=False,
            row=1,
            col=column,
        )
    figure.update_yaxes(autorange="reversed")
    figure.update_yaxes(title="true class", col=1)
    figure.update_xaxes(title="predicted class", tickangle=-40)
    figure.update_layout(height=480)
    return Plot("confusion", "Confusion: numbers of test pictures", figure)


def _reliability(evaluation: Evaluation, mark: str) -> Plot:
    """Accuracy against confidence in bins, as the model says it and at the temperature; on the diagonal it is right."""
    figure = go.Figure()
    line = {"dash": "dash", "color": "#8A8A8A", "width": 1}
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=line, hoverinfo="skip", showlegend=False)
    temperature = f"at temperature {evaluation.result.calibration.temperature:.2f}{mark}"
    for scaled, name, colour in ((False, "as it is", BEFORE_COLOUR), (True, temperature, AFTER_COLOUR)):
        table = evaluation.reliability[evaluation.reliability["scaled"] == scaled]
        figure.add_scatter(
            x=table["confidence"].tolist(),
            y=table["accuracy"].tolist(),
            customdata=table["count"].tolist(),
            mode="markers",
            marker={"color": colour, "size": (8 + 22 * table["count"] / table["count"].max()).tolist()},
            cliponaxis=False,
            name=name,
            hovertemplate=f"confidence %{{x:.2f}}{mark}, accuracy %{{y:.2f}}{mark}, "
            f"%{{customdata}}{mark} pictures<extra></extra>",
        )
    figure.update_layout(
        xaxis={"range": [0, 1], "title": "confidence"},
        yaxis={"range": [0, 1], "title": "accuracy"},
        height=420,
        legend={"orientation": "h", "y": 1.12, "itemsizing": "constant"},
    )
    return Plot("reliability", "Reliability of the last model", figure)


def tsne(stages: Sequence[tuple[str, Embedding]], source: SetPictures, target: SetPictures, coloured_by: str) -> Plot:
    """A panel a stage; circles are the source, triangles the target, colours ``coloured_by``. Axes have no unit."""
    figure = make_subplots(1, len(stages), subplot_titles=[name for name, _ in stages], horizontal_spacing=0.03)
    present = sorted({int(label) for _, embedding in stages for label in embedding.label}, key=lambda label: label % 8)
    for column, (_, embedding) in enumerate(stages, start=1):
        for label in present:
            name = EXPRESSIONS[label] if label >= 0 else "no label"
            for of_target, shown, symbol in ((False, source, "circle"), (True, target, "triangle-up")):
                chosen = (embedding.label == label) & (embedding.target == of_target)
                if not chosen.any():
                    continue
                figure.add_scatter(
                    x=embedding.points[chosen, 0].round(3).tolist(),
                    y=embedding.points[chosen, 1].round(3).tolist(),
                    customdata=shown.captions(embedding.row[chosen].tolist()),
                    meta=shown.sheet,
                    mode="markers",
                    marker={"color": COLOURS[label], "symbol": symbol, "size": 9 if of_target else 6, "opacity": 0.85},
                    name=f"{name}, {shown.title}",
                    legendgroup=f"{label}, {of_target}",
                    showlegend=column == 1,
                    hovertemplate=f"%{{customdata[0]}}<extra>{name}, {shown.title}</extra>",
                    row=1,
                    col=column,
                )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.update_layout(height=520)
    return Plot("tsne", f"t-SNE of the features; colour: {coloured_by}, triangles: the target", figure)


FIRST_SHOWN = "loss"
"""The column that is shown at first; a click on its name in the legend shows another: their scales differ."""

FEW_EPOCHS = 20
"""Epochs of which each has its number below the plot."""


def curves(name: str, title: str, table: pd.DataFrame, mark: str) -> list[Plot]:
    """One plot of all columns against ``epoch``; none where nothing was trained."""
    columns = [column for column in table.columns if column != "epoch"]
    if table.empty or not columns:
        return []
    first = FIRST_SHOWN if FIRST_SHOWN in columns else columns[0]
    figure = go.Figure()
    for column in sorted(columns, key=lambda column: column != first):
        values = table[[column, "epoch"]].dropna()
        figure.add_scatter(
            x=values["epoch"].tolist(),
            y=values[column].tolist(),
            mode="lines+markers",
            name=column,
            line={"color": AFTER_COLOUR} if column == first else None,
            visible=True if column == first else "legendonly",
            hovertemplate=f"epoch %{{x}}: %{{y:.4g}}{mark}<extra>{column}</extra>",
        )
    figure.update_layout(
        xaxis={"title": "epoch", "dtick": 1 if len(table) < FEW_EPOCHS else None}, height=380, showlegend=True
    )
    return [Plot(name, title, figure)]
