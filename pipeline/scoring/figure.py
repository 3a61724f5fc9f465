"""The figure of a comparison: scores, paired differences, F1 by class and reliability."""

from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from pipeline.files.names import shortened
from pipeline.labels import DRAWN_MARK, EXPRESSIONS, NUM_CLASSES
from pipeline.reporting.figures import STYLE, WARNING_COLOUR, save
from pipeline.scoring.records import Comparison, ModelScores

COLOURS = ("#1F4E79", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
"""Colours by model: the palette of Okabe and Ito (2008), except the first, the blue of the other figures."""
HOLLOW = "white"
LONGEST_NAME = 36
WIDTH, PANEL = 11.0, 3.4
ROW = 0.42
"""Width of the figure, height of the lower panels, and height of a row in the upper panels, in inches."""


def write(found: Comparison, path: Path) -> None:
    """Write a comparison as PNG; the same comparison gives the same bytes."""
    with matplotlib.style.context(STYLE, after_reset=True):
        save(_figure(found), path)


def _figure(found: Comparison) -> Figure:
    rows = max(2, len(found.models), len(found.differences))
    upper = 1.0 + ROW * rows
    height = 0.95 + upper + PANEL
    figure = Figure(
        figsize=(WIDTH, height),
        layout=ConstrainedLayoutEngine(rect=(0.0, 0.0, 1.0, 1 - 0.75 / height), w_pad=0.08, h_pad=0.08),
    )
    grid = figure.add_gridspec(2, 2, height_ratios=(upper, PANEL))
    _scores(figure.add_subplot(grid[0, 0]), found)
    _differences(figure.add_subplot(grid[0, 1]), found)
    _f1(figure.add_subplot(grid[1, 0]), found)
    _reliability(figure.add_subplot(grid[1, 1]), found)
    title = f"{found.title}, {found.part}: {found.pictures:,} labelled pictures"
    figure.text(0.5, 1 - 0.14 / height, title, ha="center", va="top", fontsize=12.5, fontweight="bold")
    said = f"bars: 95 % intervals, resampled by {found.unit}"
    drawn = any(map(found.is_drawn, found.models))
    if drawn:
        said += f"; {DRAWN_MARK} drawn stand-ins: not comparable with results on real pictures"
    colour = WARNING_COLOUR if drawn else "#555555"
    figure.text(0.5, 1 - 0.42 / height, said, ha="center", va="top", fontsize=9.5, color=colour)
    return figure


def _label(found: Comparison, number: int, one: ModelScores) -> str:
    return f"{number} {shortened(one.name, LONGEST_NAME)}{f' {DRAWN_MARK}' if found.is_drawn(one) else ''}"


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _scores(axes: Axes, found: Comparison) -> None:
    """Draw accuracy (filled) and balanced accuracy (hollow), one row per model."""
    for place, one in enumerate(found.models):
        scored, colour = one.metrics, _colour(place)
        pairs = ((scored.accuracy, scored.interval), (scored.balanced_accuracy, scored.balanced_interval))
        for shift, fill, (share, interval) in zip((-0.13, 0.13), (colour, HOLLOW), pairs, strict=True):
            if interval is not None:
                axes.plot([100 * bound for bound in interval], [place + shift] * 2, color=colour, lw=1.6, zorder=1)
            axes.plot(100 * share, place + shift, "o", ms=7, mfc=fill, mec=colour, mew=1.5, zorder=2)
    labels = [_label(found, number, one) for number, one in enumerate(found.models, start=1)]
    axes.set_yticks(range(len(labels)), labels)
    _rows(axes, len(labels))
    axes.set(xlabel="%", title="accuracy (filled) and balanced accuracy (hollow)")


def _differences(axes: Axes, found: Comparison) -> None:
    """Draw paired differences in points, with the same two symbols, and a line at 0."""
    if not found.differences:
        axes.axis("off")
        return
    numbers = {one.name: number for number, one in enumerate(found.models, start=1)}
    axes.axvline(0, color="#777777", lw=1, ls="--", zorder=0)
    for place, each in enumerate(found.differences):
        pairs = ((each.accuracy, "#333333"), (each.balanced_accuracy, HOLLOW))
        for shift, (points, fill) in zip((-0.13, 0.13), pairs, strict=True):
            axes.plot([points.low, points.high], [place + shift] * 2, color="#333333", lw=1.6, zorder=1)
            axes.plot(points.difference, place + shift, "o", ms=7, mfc=fill, mec="#333333", mew=1.5, zorder=2)
    pairs_named = [f"{numbers[each.first]} − {numbers[each.second]}" for each in found.differences]
    axes.set_yticks(range(len(pairs_named)), pairs_named)
    _rows(axes, len(pairs_named))
    axes.set(xlabel="points", title="paired differences")


def _rows(axes: Axes, count: int) -> None:
    axes.set_ylim(count - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)
    axes.grid(axis="x", color="#E3E3E3", linewidth=0.8)


def _f1(axes: Axes, found: Comparison) -> None:
    """Draw F1 by class; a dash if a class neither occurs nor is predicted."""
    support = found.models[0].metrics.support
    spread = np.linspace(-0.25, 0.25, len(found.models)) if len(found.models) > 1 else [0.0]
    for place, (one, shift) in enumerate(zip(found.models, spread, strict=True)):
        for index, f1 in enumerate(one.metrics.f1):
            at, colour = index + shift, _colour(place)
            if f1 is None:
                axes.plot(at, 0.01, "_", color=colour, ms=6)
                continue
            axes.vlines(at, 0, f1, color=colour, lw=1.2)
            axes.plot(at, f1, "o", ms=5, color=colour)
    names = [f"{name}\nn = {count:,}" for name, count in zip(EXPRESSIONS, support, strict=True)]
    axes.set_xticks(range(NUM_CLASSES), names, fontsize=7.5)
    axes.tick_params(axis="x", length=0)
    axes.set(ylim=(0, 1.02), ylabel="F1", title="F1 by class")
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="#E3E3E3", linewidth=0.8)


def _reliability(axes: Axes, found: Comparison) -> None:
    """Draw accuracy against confidence; a calibrated model is on the diagonal."""
    axes.plot([0, 1], [0, 1], color="#999999", lw=1, ls="--")
    for place, (number, one) in enumerate(enumerate(found.models, start=1)):
        if one.calibration_error is None:
            continue
        colour = _colour(place)
        x, y = [each.confidence for each in one.reliability], [each.accuracy for each in one.reliability]
        sizes = [10 + 160 * each.count / found.pictures for each in one.reliability]
        said = f"{number}: ECE {100 * one.calibration_error:.1f} %"
        axes.plot(x, y, color=colour, lw=1.2, label=said)
        axes.scatter(x, y, s=sizes, color=colour, linewidths=0, clip_on=False, zorder=3)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy", title="reliability")
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, fontsize=8.5, loc="upper left")
