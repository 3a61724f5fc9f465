"""The figures of one target: F1 by class (the paper's Fig. 2(b)), t-SNE (its Fig. 3), confusions, reliability.

Colours are the colour-blind-safe palette of Okabe and Ito, "Color Universal Design" (2008). A class has the same colour
in every figure. The same results give the same bytes: no pyplot state, no user style, no metadata.
"""

from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from pipeline.config import paths
from pipeline.config.methods import METHODS
from pipeline.evaluation.calibration import BINS
from pipeline.evaluation.records import Metrics, Result
from pipeline.files.atomic import atomic_path
from pipeline.labels import DRAWN_MARK, EXPRESSIONS, NUM_CLASSES
from pipeline.reporting.results import Embedding, Evaluation, Training
from pipeline.reporting.titles import dataset_title, method_title, provenance_note, start_title, step_word

CLASS_COLOURS = ("#D55E00", "#009E73", "#CC79A7", "#E69F00", "#0072B2", "#56B4E9", "#4D4D4D")
"""anger, disgust, fear, happiness, sadness, surprise, neutral"""
CLASS_MARKERS = ("o", "s", "D", "^", "v", "P", "X")
UNLABELLED_COLOUR, UNLABELLED_MARKER = "#D9D9D9", "<"
BEFORE_COLOUR, AFTER_COLOUR = "#A9BDCF", "#1F4E79"
WARNING_COLOUR = "#A33A00"
CONFUSION_COLOURS = LinearSegmentedColormap.from_list("confusion", ("#FFFFFF", "#9CC3DD", "#0B3C66"))

STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "figure.dpi": 150,
    "savefig.dpi": 150,
}

CAPTIONS = {
    "fig2b": "F1 per class",
    "confusion": "Confusion matrices",
    "reliability": "Reliability",
    "fig3": "t-SNE of the features",
    "training": "Adaptation by epoch, or by configuration of a search",
}
"""Titles by the first part of a figure's file name, KIND_TARGET.png."""

LOSS, VALIDATOR = "loss", "information"
"""The training curves that are drawn: the loss with its terms, and one label-free validator."""

DARK_TEXT_BELOW = 0.74
"""Maximum share at which dark text on a cell's colour has more contrast than white text (WCAG ratio)."""

LEAST_SPAN = 10.0
"""Minimum span of the accuracy axis, in points, so that sampling error does not look like a trend."""


def write_figures(evaluation: Evaluation, source: str, root: Path) -> list[Path]:
    """Draw all figures for which there are results: scores need labels, and training curves an adaptation.

    Args:
        evaluation: the results of one target.
        source: name of the source data set.
        root: root of the project.

    Returns:
        The files written: fig2b_<target>.png, confusion_<target>.png, reliability_<target>.png, fig3_<target>.png,
        training_<target>.png.
    """
    result = evaluation.result
    figures: dict[str, Figure] = {}
    # Reset first: the user's matplotlibrc must not change the report.
    with matplotlib.style.context(STYLE, after_reset=True):
        if result.before is not None:
            figures["fig2b"] = _f1_bars(result, result.before)
            figures["confusion"] = _confusions(result, result.before)
            figures["reliability"] = _reliability(evaluation)
        figures["fig3"] = _tsne(evaluation, source)
        if not evaluation.training.losses.empty:
            figures["training"] = _training(result, evaluation.training)
        return [save(figure, root / paths.figure(result.target, kind)) for kind, figure in figures.items()]


def _f1_bars(result: Result, before: Metrics) -> Figure:
    """Draw F1 of every class before and after adaptation as grouped bars; a class without F1 has a dash."""
    figure = figure_below_head(9.0, 4.2, result)
    axes = figure.add_subplot()
    series = [("after stage 1: DT", BEFORE_COLOUR, before)]
    if (after := result.adapted()) is not None:
        series.append((f"after stage 2: {method_title(result)}", AFTER_COLOUR, after))
    width = 0.8 / len(series)
    for index, (name, colour, metrics) in enumerate(series):
        at = np.arange(NUM_CLASSES) + (index - (len(series) - 1) / 2) * width
        heights = [0.0 if f1 is None else f1 for f1 in metrics.f1]
        bars = axes.bar(at, heights, width * 0.94, color=colour, label=f"{name}, macro F1 {metrics.macro_f1:.2f}")
        axes.bar_label(
            bars, ["–" if f1 is None else f"{f1:.2f}" for f1 in metrics.f1], padding=2, fontsize=8, color="#333333"
        )
    ticks = [f"{name}\nn = {count}" for name, count in zip(EXPRESSIONS, before.support, strict=True)]
    axes.set_xticks(range(NUM_CLASSES), ticks)
    axes.tick_params(axis="x", length=0)
    axes.set(ylim=(0, 1.08), ylabel="F1", yticks=np.linspace(0, 1, 6))
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="#E3E3E3", linewidth=0.8)
    head(figure, f"{dataset_title(result.target)}: F1 per class ({result.n_test:,} test pictures)", result)
    figure.legend(loc="outside lower center", ncols=len(series), frameon=False, fontsize=9)
    return figure


def _confusions(result: Result, before: Metrics) -> Figure:
    """Draw row-normalised confusion matrices: colours show the share of the true class, numbers the counts."""
    panels = [("after stage 1: DT", before)]
    if (after := result.adapted()) is not None:
        panels.append((f"after stage 2: {method_title(result)}", after))
    # Placed manually, in inches, because the automatic layout does not know that panels are square.
    side, gap, left, right, bottom = 4.3, 0.35, 1.75, 1.2, 1.1
    width = left + len(panels) * (side + gap) + right
    height = bottom + side + 0.55 + _head_height(result)
    figure = Figure(figsize=(width, height))
    for index, (name, metrics) in enumerate(panels):
        x = left + index * (side + gap)
        axes = figure.add_axes((x / width, bottom / height, side / width, side / height))
        _confusion_panel(axes, metrics)
        scores = f"accuracy {100 * metrics.accuracy:.1f} %, balanced {100 * metrics.balanced_accuracy:.1f} %"
        axes.set_title(f"{name}\n{scores}")
    first = figure.axes[0]
    first.set_ylabel("true class (its test pictures)")
    first.set_yticks(
        range(NUM_CLASSES), [f"{name} ({count})" for name, count in zip(EXPRESSIONS, before.support, strict=True)]
    )
    scale = figure.add_axes(((width - right) / width, (bottom + side / 6) / height, 0.15 / width, side / 1.5 / height))
    figure.colorbar(first.images[0], cax=scale, label="share of the true class")
    head(figure, f"{dataset_title(result.target)}: confusion matrices ({result.n_test:,} test pictures)", result)
    return figure


def _confusion_panel(axes: Axes, metrics: Metrics) -> None:
    counts = np.array(metrics.confusion)
    # An empty row is a class without test pictures and remains white.
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap=CONFUSION_COLOURS, vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        share = shares[row, column]
        label = f"{counts[row, column]}\n{100 * share:.0f} %"
        axes.text(
            column,
            row,
            label,
            ha="center",
            va="center",
            fontsize=7.5,
            color="#222222" if share < DARK_TEXT_BELOW else "w",
        )
    axes.set_xticks(range(NUM_CLASSES), EXPRESSIONS, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(NUM_CLASSES), [""] * NUM_CLASSES)
    axes.set_xlabel("predicted class")
    axes.set_xticks(np.arange(NUM_CLASSES + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(NUM_CLASSES + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#DDDDDD", linewidth=0.6)
    axes.tick_params(which="both", length=0)
    axes.spines[["left", "bottom"]].set_visible(False)


def bin_edges(confidence: "pd.Series[float]") -> NDArray[np.float64]:
    """Return the lower edge of the bin of each mean confidence (``pipeline.evaluation.calibration.bins``)."""
    return np.minimum(np.floor(confidence.to_numpy(np.float64) * BINS), BINS - 1) / BINS


def _reliability(evaluation: Evaluation) -> Figure:
    """Draw accuracy by bin of confidence, without and with the temperature; red frames show the error."""
    result, errors = evaluation.result, evaluation.result.calibration
    figure = figure_below_head(9.4, 4.9, result)
    name = method_title(result)
    panels = ((False, f"{name}, as it is", "before"), (True, f"{name}, temperature {errors.temperature:.2f}", "after"))
    all_axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, (scaled, title, key) in zip(all_axes, panels, strict=True):
        table = evaluation.reliability[evaluation.reliability["scaled"] == scaled]
        _reliability_bars(axes, table)
        error = f"\nexpected calibration error {100 * getattr(errors.target, key):.1f} %" if errors.target else ""
        axes.set(xlabel="confidence (%)", title=f"{title}{error}")
    first = float(bin_edges(evaluation.reliability["confidence"]).min(initial=1.0 - 1 / BINS))
    all_axes[0].set(ylabel="accuracy (%)", xlim=(100 * first - 1, 101), ylim=(0, 112), yticks=range(0, 101, 20))
    said = "n: test pictures in the bin. The temperature is fitted on the source's test pictures, not on these."
    handles, labels = all_axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, title=said, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    head(figure, f"{dataset_title(result.target)}: reliability ({result.n_test:,} test pictures)", result)
    return figure


def _reliability_bars(axes: Axes, table: pd.DataFrame) -> None:
    confidence, accuracy = (100 * table[name].to_numpy(np.float64) for name in ("confidence", "accuracy"))
    left, width = 100 * bin_edges(table["confidence"]), 100 / BINS
    axes.plot([0, 100], [0, 100], color="#999999", lw=1, ls="--", label="confidence that is right")
    axes.bar(left, accuracy, 0.9 * width, align="edge", color=BEFORE_COLOUR, label="accuracy of the bin")
    gap: dict[str, Any] = {"align": "edge", "fill": False, "edgecolor": WARNING_COLOUR, "lw": 1.2}
    axes.bar(left, confidence - accuracy, 0.9 * width, bottom=accuracy, label="from accuracy to mean confidence", **gap)
    for x, y, count in zip(left + 0.45 * width, np.maximum(confidence, accuracy), table["count"], strict=True):
        label = axes.text(x, y + 2, f"n={count:,}", ha="center", va="bottom", fontsize=7.5, color="#333333")
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.6})  # the diagonal runs behind it


def _tsne(evaluation: Evaluation, source: str) -> Figure:
    """Draw panels before and after adaptation; t-SNE axes have no unit and are not drawn."""
    result = evaluation.result
    panels = [("after stage 1: DT", evaluation.tsne["before"])]
    if "after" in evaluation.tsne and result.adapts:
        panels.append((f"after stage 2: {method_title(result)}", evaluation.tsne["after"]))
    figure = figure_below_head(max(7.4, 5.2 * len(panels)), 5.9, result)
    for axes, (name, embedding) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _scatter(axes, embedding)
        axes.set_title(name)
    first = panels[0][1]
    title = f"{dataset_title(source)} → {dataset_title(result.target)}: t-SNE of the features"
    head(figure, f"{title} ({(~first.target).sum()} + {first.target.sum()} pictures)", result)
    handles = _tsne_legend(dataset_title(source), dataset_title(result.target), bool((first.label < 0).any()))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles) if len(panels) > 1 else 5,
        frameon=False,
        fontsize=9,
        columnspacing=1.2,
        handletextpad=0.1,
    )
    return figure


def _scatter(axes: Axes, embedding: Embedding) -> None:
    """Draw points: colour and marker show the class; source pictures are outlines, target pictures filled."""
    for of_target in (False, True):
        for label in np.unique(embedding.label):
            chosen = (embedding.target == of_target) & (embedding.label == label)
            colour, marker = _class_style(label)
            style: dict[str, Any] = {"s": 34, "c": colour, "edgecolors": "#111111", "linewidths": 0.6, "alpha": 0.9}
            if not of_target:
                style = {"s": 16, "facecolors": "none", "edgecolors": colour, "linewidths": 0.9, "alpha": 0.75}
            axes.scatter(*embedding.points[chosen].T, marker=marker, zorder=1 + of_target, **style)
    axes.set(xticks=[], yticks=[])
    axes.margins(0.04)
    axes.set_box_aspect(1)
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("#BBBBBB")


def _class_style(label: int) -> tuple[str, str]:
    """Return colour and marker of a class; the last ones for -1, no label."""
    return (*CLASS_COLOURS, UNLABELLED_COLOUR)[label], (*CLASS_MARKERS, UNLABELLED_MARKER)[label]


def _tsne_legend(source: str, target: str, unlabelled: bool) -> list[Line2D]:
    names = [*enumerate(EXPRESSIONS), *([(-1, "no label")] if unlabelled else [])]
    handles = []
    for label, name in names:
        colour, marker = _class_style(label)
        handles.append(Line2D([], [], ls="", marker=marker, ms=7, color=colour, label=name))
    handles.append(Line2D([], [], ls="", marker="o", ms=6, mfc="none", mec="#777777", label=f"outline: {source}"))
    handles.append(Line2D([], [], ls="", marker="o", ms=7, mfc="#BBBBBB", mec="#111111", label=f"filled: {target}"))
    return handles


def head(figure: Figure, title: str, result: Result) -> None:
    """Draw the title, and below it in another colour which data are drawn."""
    height = figure.get_figheight()
    figure.text(0.5, 1 - 0.14 / height, title, ha="center", va="top", fontsize=12.5, fontweight="bold")
    if note := provenance_note(result):
        text = f"{DRAWN_MARK} {note}: not comparable with results on the real sets"
        figure.text(0.5, 1 - 0.42 / height, text, ha="center", va="top", fontsize=10.5, color=WARNING_COLOUR)


def _head_height(result: Result) -> float:
    """Return the height of ``head``, in inches."""
    return 0.68 if provenance_note(result) else 0.42


def figure_below_head(width: float, height: float, result: Result) -> Figure:
    """Create a figure (in inches) whose automatic layout leaves space for the head."""
    rect = (0.0, 0.0, 1.0, 1 - _head_height(result) / height)
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(rect=rect, w_pad=0.06, h_pad=0.06))


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, with the same bytes for the same figure; return ``path``."""
    with atomic_path(path) as temporary:
        # By default the file would name the version of the library that wrote it.
        figure.savefig(temporary, format="png", metadata={"Software": None})
    return path


def loss_terms(losses: pd.DataFrame) -> list[str]:
    """Return the columns directly before the loss that add up to it, its terms; empty if it has only one."""
    if LOSS not in losses:
        return []
    losses = losses.dropna(subset=[LOSS])  # a configuration that failed in a search has none
    before = list(losses.columns[: losses.columns.get_loc(LOSS)])
    for start in range(len(before) - 2, -1, -1):
        if np.allclose(losses[before[start:]].sum(axis=1), losses[LOSS], rtol=1e-3):
            return before[start:]
    return []


def _training(result: Result, training: Training) -> Figure:
    """Draw panels by epoch; for a search, by configuration except for the losses.

    A dotted line marks the kept model, a hollow marker the oracle.
    """
    count = 2 + (len(training.accuracy) > 0)
    figure = figure_below_head(4.2 * count, 4.2, result)
    losses, validations, *scored = figure.subplots(1, count)
    each = result.epochs.adapt if result.candidates else 1  # losses are by epoch, over all configurations of a search
    _loss_panel(losses, training.losses, each * result.kept_epoch)
    if result.candidates:
        losses.set_xlabel("epoch, over all configurations")
    _panel(validations, training.validations["epoch"], training.validations[VALIDATOR], result.kept_epoch)
    validations.set_title(f"mutual {VALIDATOR}, without labels")
    if scored:
        _accuracy_panel(scored[0], training.accuracy, result)
    step = step_word(result)
    head(figure, f"{dataset_title(result.target)}: {method_title(result)} by {step}", result)
    start = start_title(result)
    kept = start if result.kept_epoch == 0 else f"the model after {step} {result.kept_epoch}"
    said = f"{step}; 0 is {start}, dotted is what is kept: {kept}\n{ramp_note(result.method)}".rstrip()
    figure.supxlabel(said, fontsize=9)
    return figure


def ramp_note(method: str) -> str:
    """Return a note on the weight that grows during training, so that the loss may rise; empty if there is none."""
    weighed = METHODS[method].ramp if method in METHODS else ""
    rises = "λ = 2 / (1 + exp(−10 p)) − 1 rises from 0 to 1 with the progress p of the training; it weighs"
    return f"{rises} {weighed}" if weighed else ""


def _loss_panel(axes: Axes, losses: pd.DataFrame, kept: int) -> None:
    """Draw the loss and each of its terms."""
    loss = LOSS if LOSS in losses else next(name for name in losses if name != "epoch")
    _panel(axes, losses["epoch"], losses[loss], kept)
    terms = loss_terms(losses)
    for name, colour in zip(terms, CLASS_COLOURS * len(terms), strict=False):
        axes.plot(losses["epoch"], losses[name], color=colour, lw=1.2, marker=".", label=name)
    axes.set_title("loss (dark) and its terms" if terms else f"{loss} of the training")
    if terms:
        axes.legend(frameon=False, fontsize=8.5, loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=4)


def _accuracy_panel(axes: Axes, accuracy: pd.DataFrame, result: Result) -> None:
    _panel(axes, accuracy["epoch"], 100 * accuracy["accuracy"], result.kept_epoch)
    axes.set_title("accuracy on the test part (%)")
    if "balanced_accuracy" in accuracy:
        balanced = 100 * accuracy["balanced_accuracy"]
        axes.plot(accuracy["epoch"], balanced, color=AFTER_COLOUR, lw=1, ls="--", label="balanced")
    low, high = axes.get_ylim()
    spread = max(0.0, LEAST_SPAN - (high - low)) / 2
    axes.set_ylim(low - spread, high + spread)
    if best := result.oracle:
        axes.plot(best.epoch, 100 * best.accuracy, "o", ms=10, mfc="none", mec="#555555", label="oracle ‡")
        axes.legend(frameon=False, fontsize=9)


def _panel(axes: Axes, epochs: "pd.Series[float]", values: "pd.Series[float]", kept: int) -> None:
    axes.plot(epochs, values, color=AFTER_COLOUR, marker="o", ms=4)
    if epochs.iloc[0] == 0:
        axes.axhline(values.iloc[0], color=BEFORE_COLOUR, lw=1, zorder=0)
    axes.axvline(kept, color="#777777", lw=1, ls=":", zorder=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="#E3E3E3", linewidth=0.8)
