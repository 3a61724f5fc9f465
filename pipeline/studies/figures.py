"""A study's figures: variants by targets as a matrix, and the accuracy along a parameter (the paper's Fig. 2 (a))."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from pipeline.labels import DRAWN_MARK
from pipeline.reporting.figures import CLASS_COLOURS, STYLE, WARNING_COLOUR, save
from pipeline.reporting.markdown import difference_text, signed
from pipeline.reporting.titles import dataset_title
from pipeline.studies.collect import Collected
from pipeline.studies.plan import Study
from pipeline.studies.summary import accuracy, is_transfer, paired


def write_figures(
    name: str, study: Study, targets: Sequence[str], collected: Sequence[Collected], folder: Path
) -> list[Path]:
    """Draw the matrix and, where the study has a parameter ``along``, the line; returns the PNG files."""
    drawn = any(one.result.drawn for one in collected)
    with matplotlib.style.context(STYLE, after_reset=True):
        written = [save(_matrix(study, targets, collected, drawn), folder / f"{name}-matrix.png")]
        if study.along:
            written.append(save(_line(study, targets, collected, drawn), folder / f"{name}-line.png"))
    return written


def _matrix(study: Study, targets: Sequence[str], collected: Sequence[Collected], drawn: bool) -> Figure:
    """Colour is the difference to direct transfer in points; a cell says accuracy, difference and its interval."""
    variants = list(study.variants)
    figure = Figure(figsize=(2.6 + 2.0 * len(targets), 1.5 + 0.52 * max(3, len(variants))), layout="constrained")
    axes = figure.subplots()
    differences = np.full((len(variants), len(targets)), np.nan)
    for row, variant in enumerate(variants):
        for column, target in enumerate(targets):
            cell, found = accuracy(collected, variant, target), paired(collected, variant, None, target)
            if cell is None or found is None:
                axes.text(column, row, "not run", ha="center", va="center", fontsize=8, color="#777777")
                continue
            differences[row, column] = found.accuracy.difference
            text = f"{cell.mean:.1f}, balanced {cell.balanced:.1f}"
            if not is_transfer(collected, variant):
                text += f"\n{difference_text(found.accuracy, ())}"
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color="#111111")
    limit = max(5.0, float(np.nanmax(np.abs(differences), initial=0.0)))
    image = axes.imshow(differences, cmap="PuOr", vmin=-2 * limit, vmax=2 * limit, aspect="auto")
    shades, ticks = np.linspace(-limit, limit, 41), np.linspace(-limit, limit, 5)
    said = FuncFormatter(lambda points, _: signed(points))
    figure.colorbar(image, ax=axes, label="points over direct transfer", boundaries=shades, ticks=ticks, format=said)
    axes.set_xticks(range(len(targets)), [dataset_title(target) for target in targets])
    axes.set_yticks(range(len(variants)), variants)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    _title(figure, f"{study.title}: accuracy (%), and over direct transfer", drawn)
    return figure


def _line(study: Study, targets: Sequence[str], collected: Sequence[Collected], drawn: bool) -> Figure:
    """Accuracy along the study's parameter: a line a target with the spread over seeds; dashed is direct transfer."""
    assert study.along is not None
    figure = Figure(figsize=(7.4, 4.6), layout="constrained")
    axes = figure.subplots()
    values = [float(changes[study.along]) for changes in study.variants.values()]  # type: ignore[arg-type]
    apart = 0.008 * (max(values) - min(values))  # so that bars of several targets do not hide each other
    colours = [*CLASS_COLOURS, "#000000"] * len(targets)
    for place, (target, colour) in enumerate(zip(targets, colours, strict=False)):
        points = [
            (value, cell.mean, cell.deviation)
            for value, variant in zip(values, study.variants, strict=True)
            if (cell := accuracy(collected, variant, target))
        ]
        if not points:
            continue
        x, mean, deviation = np.array(sorted(points)).T
        x += apart * (place - (len(targets) - 1) / 2)
        axes.errorbar(x, mean, yerr=deviation, color=colour, marker="o", ms=4, capsize=2, label=dataset_title(target))
        if base := accuracy(collected, next(iter(study.variants)), target, "before"):
            axes.axhline(base.mean, color=colour, lw=0.8, ls="--")
    axes.set(xlabel=study.along, ylabel="accuracy (%)")
    figure.legend(loc="outside lower center", frameon=False, ncols=5)
    _title(figure, f"{study.title}\n(bars: standard deviation over seeds; dashed: direct transfer)", drawn)
    return figure


def _title(figure: Figure, text: str, drawn: bool) -> None:
    note = f"\n{DRAWN_MARK} drawn stand-ins: not comparable with results on the real sets" if drawn else ""
    figure.suptitle(text + note, fontsize=11, color=WARNING_COLOUR if drawn else "black")
