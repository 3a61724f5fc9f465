"""Interactive plots of one target: F1 by class, confusion, reliability and t-SNE, as in ``reporting.figures``.

A class has the same colour and shape in every plot, on light and dark pages. ``mark`` is appended to all numbers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pipeline.evaluation.calibration import BINS
from pipeline.evaluation.records import Metrics
from pipeline.labels import EXPRESSIONS
from pipeline.reporting.figures import CLASS_COLOURS, LEAST_SPAN, LOSS, bin_edges, loss_terms
from pipeline.reporting.page.content import Plot
from pipeline.reporting.page.pictures import SetPictures
from pipeline.reporting.results import Embedding, Evaluation
from pipeline.reporting.titles import dataset_title, method_title

COLOURS = (*CLASS_COLOURS[:-1], "#8A8A8A", "#C8C8C8")
"""Colours as in the figures, except neutral, which must be visible on dark pages; the last is for no label."""
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x", "triangle-left")
"""Plotly's markers with the shapes of the figures."""

BEFORE_COLOUR, AFTER_COLOUR, WARNING_COLOUR = "#8FA8BF", "#2F7FC1", "#D9622B"
ABOVE = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
BELOW = {"orientation": "h", "y": -0.12, "yanchor": "top", "x": 0}
"""Legend positions that do not reduce the plot's width, for small screens."""


def stage_names(evaluation: Evaluation) -> dict[str, str]:
    """Return the names of the models by stage; only DT if nothing was adapted."""
    result = evaluation.result
    return {"before": "before: DT"} | ({"after": f"after: {method_title(result)}"} if result.adapts else {})


def overview(evaluations: Sequence[Evaluation], mark: str) -> Plot | None:
    """Plot accuracy on every labelled target before and after, with intervals; None if no target has labels."""
    known = [one for one in reversed(evaluations) if one.result.before is not None]
    if not known:
        return None
    figure, ends = go.Figure(), list[float]()
    for stage, colour, symbol in (("before", BEFORE_COLOUR, "circle-open"), ("after", AFTER_COLOUR, "circle")):
        shown = [(one.result, getattr(one.result, stage)) for one in known if stage in stage_names(one)]
        if not shown:
            continue
        accuracies = [100 * metrics.accuracy for _, metrics in shown]
        bounds = [metrics.interval or (metrics.accuracy, metrics.accuracy) for _, metrics in shown]
        ends += [100 * bound for pair in bounds for bound in pair]
        below = [accuracy - 100 * low for accuracy, (low, _) in zip(accuracies, bounds, strict=True)]
        above = [100 * high - accuracy for accuracy, (_, high) in zip(accuracies, bounds, strict=True)]
        name = stage_names(known[0])[stage]
        figure.add_scatter(
            x=accuracies,
            y=[dataset_title(result.target) for result, _ in shown],
            error_x={"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1.5},
            mode="markers",
            orientation="h",
            marker={"color": colour, "symbol": symbol, "size": 10, "line": {"color": colour, "width": 2}},
            name=name,
            hovertemplate=f"%{{y}}: %{{x:.1f}}{mark} %<extra>{name}</extra>",
        )
    figure.update_layout(
        # Grouped along y, Plotly would begin at 0.
        xaxis={"title": f"accuracy on the test part{mark} (%)", "range": [min(ends) - 3, max(ends) + 3]},
        scattermode="group",
        scattergap=0.4,
        height=140 + 44 * len(known),
        legend={**ABOVE, "traceorder": "normal"},
    )
    return Plot("overview", "Accuracy before and after adaptation, with 95 % intervals", [figure])


def of_target(evaluation: Evaluation, mark: str, source: SetPictures, target: SetPictures) -> list[Plot]:
    """Return all plots for which there are results: a target without labels has only t-SNE.

    Args:
        evaluation: the results of one target.
        mark: mark appended to every number.
        source: pictures of the source, shown under the pointer.
        target: pictures of the target, shown under the pointer.
    """
    result = evaluation.result
    names = stage_names(evaluation)
    scores = {"before": result.before, "after": result.after}
    known = [(name, metrics) for stage, name in names.items() if (metrics := scores[stage]) is not None]
    plots = [_f1_bars(known, mark), _confusions(known, mark), _reliability(evaluation, mark)] if known else []
    embeddings = [(names[stage], embedding) for stage, embedding in evaluation.tsne.items() if stage in names]
    return [*plots, tsne(embeddings, source, target, "class")]


def _f1_bars(stages: Sequence[tuple[str, Metrics]], mark: str) -> Plot:
    """Plot one bar per class and stage; a class without F1 has none."""
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
    figure.update_layout(barmode="group", yaxis={"range": [0, 1], "title": "F1"}, height=380, legend=ABOVE)
    return Plot("f1", "F1 by class", [figure])


def _confusions(stages: Sequence[tuple[str, Metrics]], mark: str) -> Plot:
    """Plot row-normalised confusion matrices: colours show the share of the true class, numbers the counts."""
    panels = []
    for name, metrics in stages:
        counts = np.array(metrics.confusion)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        accuracy, balanced = (f"{100 * one:.1f}{mark} %" for one in (metrics.accuracy, metrics.balanced_accuracy))
        figure = go.Figure()
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
        )
        figure.update_layout(
            yaxis={"autorange": "reversed", "title": "true class"},
            xaxis={"title": "predicted class", "tickangle": -40},
            height=460,
            **_title(f"{name}<br>accuracy {accuracy}, balanced {balanced}"),
        )
        panels.append(figure)
    return Plot("confusion", "Confusion: numbers of test pictures", panels)


def _title(text: str) -> dict[str, Any]:
    """Return the layout of a panel's title, with space for two lines."""
    return {"title": {"text": text, "font": {"size": 13}}, "margin": {"t": 60, "l": 60, "r": 10, "b": 50}}


def _reliability(evaluation: Evaluation, mark: str) -> Plot:
    """Plot accuracy by bin of confidence, without and with the temperature; frames show the error."""
    calibration, every = evaluation.result.calibration, evaluation.reliability
    stages = (
        (False, "before", "without temperature"),
        (True, "after", f"at temperature {calibration.temperature:.2f}{mark}"),
    )
    first = float(bin_edges(every["confidence"]).min(initial=1 - 1 / BINS))
    panels = []
    for scaled, key, name in stages:
        found = calibration.target
        error = f"<br>expected calibration error {100 * getattr(found, key):.1f}{mark} %" if found else ""
        panels.append(_reliability_panel(every[every["scaled"] == scaled], f"{name}{error}", first, mark))
    note = "n: test pictures in the bin. The temperature is fitted on the source's test pictures, not on the target's."
    return Plot("reliability", "Reliability of the model that is kept", panels, note)


def _reliability_panel(table: pd.DataFrame, title: str, first: float, mark: str) -> go.Figure:
    """Plot the bins of one stage; ``first``: lower edge of the lowest bin of all stages, where axes begin."""
    confidence, accuracy = table["confidence"].to_numpy(np.float64), table["accuracy"].to_numpy(np.float64)
    bars = {"x": (bin_edges(table["confidence"]) + 0.5 / BINS).tolist(), "width": 0.9 / BINS}
    counts = [f"n={count}" for count in table["count"]]
    hover = f"confidence %{{customdata[0]:.1%}}{mark}, accuracy %{{customdata[1]:.1%}}{mark}, %{{customdata[2]}}"
    figure = go.Figure()
    figure.add_bar(
        **bars,
        y=accuracy.tolist(),
        name="accuracy of the bin",
        marker_color=BEFORE_COLOUR,
        customdata=[list(row) for row in zip(confidence.tolist(), accuracy.tolist(), counts, strict=True)],
        hovertemplate=f"{hover}{mark}<extra></extra>",
    )
    figure.add_bar(
        **bars,
        y=(confidence - accuracy).tolist(),
        base=accuracy.tolist(),
        name="gap between accuracy and mean confidence",
        marker={"color": "rgba(0,0,0,0)", "line": {"color": WARNING_COLOUR, "width": 1.5}},
        hoverinfo="skip",
    )
    above = np.maximum(confidence, accuracy).tolist()
    text = {"mode": "text", "text": counts, "textposition": "top center", "textfont": {"size": 10}}
    figure.add_scatter(x=bars["x"], y=above, **text, hoverinfo="skip", showlegend=False)
    line = {"dash": "dash", "color": "#8A8A8A", "width": 1}
    ends = [first, 1]
    figure.add_scatter(x=ends, y=ends, mode="lines", line=line, name="perfect calibration", hoverinfo="skip")
    figure.update_layout(
        barmode="overlay",
        xaxis={"range": [first - 0.01, 1.01], "title": "confidence", "tickformat": ".0%"},
        yaxis={"range": [0, 1.12], "title": "accuracy", "tickformat": ".0%", "dtick": 0.2},
        height=430,
        legend={**BELOW, "y": -0.2},
        **_title(title),
    )
    return figure


def tsne(stages: Sequence[tuple[str, Embedding]], source: SetPictures, target: SetPictures, coloured_by: str) -> Plot:
    """Plot one panel per stage: colour and shape show ``coloured_by``; source outlined, target filled."""
    panels = []
    for stage, embedding in stages:
        figure = go.Figure()
        for label in sorted({*embedding.label.tolist()}, key=lambda label: label % len(COLOURS)):
            name, in_legend = EXPRESSIONS[label] if label >= 0 else "no label", True
            for of_target, shown in ((True, target), (False, source)):
                chosen = (embedding.label == label) & (embedding.target == of_target)
                if not chosen.any():
                    continue
                figure.add_scatter(
                    x=embedding.points[chosen, 0].round(3).tolist(),
                    y=embedding.points[chosen, 1].round(3).tolist(),
                    customdata=shown.captions(embedding.row[chosen].tolist()),
                    meta=shown.sheet,
                    mode="markers",
                    marker=_marker(label, of_target),
                    name=name,
                    legendgroup=str(label),
                    showlegend=in_legend,
                    hovertemplate=f"%{{customdata[0]}}<extra>{name}, {shown.title}</extra>",
                )
                in_legend = False
        for of_target, title in ((False, f"outline: {source.title}"), (True, f"filled: {target.title}")):
            if (embedding.target == of_target).any():
                marker = {"color": "#8A8A8A", "symbol": "circle" if of_target else "circle-open", "size": 9}
                figure.add_scatter(x=[None], y=[None], mode="markers", marker=marker, name=title)
        figure.update_layout(
            xaxis={"visible": False}, yaxis={"visible": False}, height=560, legend={**BELOW, "y": 0}, **_title(stage)
        )
        panels.append(figure)
    return Plot("tsne", f"t-SNE of the features; colour and shape: {coloured_by}", panels)


def _marker(label: int, of_target: bool) -> dict[str, Any]:
    style = {"color": COLOURS[label], "symbol": SYMBOLS[label]}
    if of_target:
        return {**style, "size": 9, "line": {"color": "#111111", "width": 0.7}}
    return {**style, "symbol": f"{SYMBOLS[label]}-open", "size": 7, "opacity": 0.8}


FEW_EPOCHS = 20
"""Maximum number of epochs with a tick label each."""


def losses(name: str, title: str, table: pd.DataFrame, mark: str, note: str = "") -> list[Plot]:
    """Plot the loss and its terms by epoch; a click in the legend shows other columns."""
    columns = [column for column in table.columns if column != "epoch"]
    first = [LOSS if LOSS in columns else columns[0], *loss_terms(table)] if columns else []
    return curves(name, f"{title}; click the legend for more curves", table, first, mark, note=note)


def accuracy_by_step(table: pd.DataFrame, mark: str, step: str) -> list[Plot]:
    """Plot accuracies in per cent, with a minimum span of the axis, so that sampling error does not look like a trend.

    Args:
        table: a table with column ``epoch``; for a search, the number of the configuration.
        mark: mark appended to every number.
        step: the word for a row: epoch or configuration.
    """
    title = f"Accuracy on the test pictures by {step}; these labels choose no {step}"
    names = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy"}
    scaled = table.mul(100).assign(epoch=table["epoch"]).rename(columns=names)
    plots = curves("accuracy", title, scaled, list(names.values()), mark, unit="%", step=step)
    for plot in plots:
        values = scaled.drop(columns="epoch").to_numpy(np.float64)
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        spread = max(0.1 * (high - low), (LEAST_SPAN - (high - low)) / 2)
        plot.panels[0].update_layout(yaxis={"range": [low - spread, high + spread], "title": "accuracy (%)"})
    return plots


def curves(
    name: str,
    title: str,
    table: pd.DataFrame,
    first: Sequence[str],
    mark: str,
    unit: str = "",
    note: str = "",
    step: str = "epoch",
) -> list[Plot]:
    """Plot all columns against ``epoch``, initially showing ``first``; empty if nothing was trained."""
    columns = [column for column in table.columns if column != "epoch"]
    if table.empty or not columns:
        return []
    figure = go.Figure()
    ordered = [*(column for column in first if column in columns), *(c for c in columns if c not in first)]
    for place, column in enumerate(ordered):
        values = table[[column, "epoch"]].dropna()
        figure.add_scatter(
            x=values["epoch"].tolist(),
            y=values[column].tolist(),
            mode="lines+markers",
            name=column,
            line={"color": (AFTER_COLOUR, *COLOURS[:-1])[place % len(COLOURS)]},
            visible=True if column in first else "legendonly",
            hovertemplate=f"{step} %{{x}}: %{{y:.4g}}{mark} {unit}<extra>{column}</extra>",
        )
    figure.update_layout(
        xaxis={"title": {"text": step, "standoff": 4}, "dtick": 1 if len(table) < FEW_EPOCHS else None},
        height=420,
        showlegend=True,
        legend={**BELOW, "y": -0.25},
    )
    return [Plot(name, title, [figure], note)]
