"""A study's figures: variants by targets, and the accuracy along a parameter (the paper's Fig. 2 (a))."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from pydantic_core import PydanticUndefined

from pipeline.config.schema import Params
from pipeline.evaluation.comparison import PairedDifference
from pipeline.evaluation.records import Result
from pipeline.reporting.figures import AFTER_COLOUR, STYLE, figure_below_head, head, save
from pipeline.reporting.markdown import difference_text, signed
from pipeline.reporting.study_results import StudyCell
from pipeline.reporting.titles import dataset_title
from pipeline.studies.collect import Collected
from pipeline.studies.plan import Study
from pipeline.studies.summary import accuracy, is_transfer, paired

MEAN = "mean"


def write_figures(
    name: str, study: Study, targets: Sequence[str], collected: Sequence[Collected], folder: Path
) -> list[Path]:
    """Draw the variants and, with a parameter ``along``, the accuracy along it; return the PNG files.

    Several variants are drawn as a matrix, a single one as dots with intervals.
    """
    overview = _matrix if len(study.variants) > 1 else _dots
    with matplotlib.style.context(STYLE, after_reset=True):
        written = [save(overview(study, targets, collected), folder / f"{name}-matrix.png")]
        if study.along:
            written.append(save(_along(study, targets, collected), folder / f"{name}-line.png"))
    return written


def _matrix(study: Study, targets: Sequence[str], collected: Sequence[Collected]) -> Figure:
    """Draw a matrix: colours are differences from direct transfer; texts are accuracy, difference and interval."""
    variants, titles = list(study.variants), [*map(dataset_title, targets), MEAN]
    height = 1.7 + 0.42 * max(3, len(variants))
    figure = figure_below_head(2.6 + 1.4 * len(titles), height, _head_result(collected))
    axes = figure.subplots()
    differences = np.full((len(variants), len(titles)), np.nan)
    for row, variant in enumerate(variants):
        found = [_cell(collected, variant, target) for target in targets]
        for column, (text, difference, sure) in enumerate([*found, _mean(collected, variant, targets)]):
            differences[row, column] = difference
            weight = "bold" if sure else "normal"
            axes.text(column, row, text, ha="center", va="center", fontsize=7.5, color="#111111", fontweight=weight)
    limit = max(5.0, float(np.nanmax(np.abs(differences), initial=0.0)))
    image = axes.imshow(differences, cmap="PuOr", vmin=-2 * limit, vmax=2 * limit, aspect="auto")
    shades, ticks = np.linspace(-limit, limit, 41), [-limit, 0.0, limit]
    said = FuncFormatter(lambda points, _: signed(points))
    shape: dict[str, Any] = {"shrink": min(1.0, 1.3 / height), "aspect": 12, "pad": 0.01, "anchor": (0.0, 1.0)}
    bar = figure.colorbar(image, ax=axes, boundaries=shades, ticks=ticks, format=said, **shape)
    bar.set_label("points over DT", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    axes.axvline(len(targets) - 0.5, color="white", lw=4)
    axes.set_xticks(range(len(titles)), titles)
    axes.set_yticks(range(len(variants)), variants)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    figure.supxlabel(
        "Accuracy (%), balanced accuracy in brackets; below: points over direct transfer (DT) with the 95 % interval, "
        "bold where it excludes 0.",
        fontsize=8.5,
    )
    head(figure, f"{study.title}: accuracy, and what adaptation gains", _head_result(collected))
    return figure


Cell = tuple[str, float, bool]
"""A cell's text, the difference that colours it, and whether the difference's interval excludes 0."""


def _cell(collected: Sequence[Collected], variant: str, target: str) -> Cell:
    cell, found = accuracy(collected, variant, target), paired(collected, variant, None, target)
    if cell is None:
        return "not run", np.nan, False
    if is_transfer(collected, variant):
        return _accuracies(cell.mean, cell.balanced), 0.0, False
    if found is None:
        return f"{_accuracies(cell.mean, cell.balanced)}\nnot compared", np.nan, False
    one = found.accuracy
    text = f"{_accuracies(cell.mean, cell.balanced)}\n{difference_text(one, ())}"
    return text, one.difference, _excludes_zero(one)


def _mean(collected: Sequence[Collected], variant: str, targets: Sequence[str]) -> Cell:
    """Return the mean over all targets. With fewer targets it could not be compared with other rows."""
    cells = [cell for target in targets if (cell := accuracy(collected, variant, target))]
    before = [cell for target in targets if (cell := accuracy(collected, variant, target, "before"))]
    if len(cells) < len(targets):
        return "–", np.nan, False
    mean, start = _means(cells), _means(before)
    gain = mean[0] - start[0]
    text = _accuracies(*mean)
    return (text, 0.0, False) if is_transfer(collected, variant) else (f"{text}\n{signed(gain)}", gain, False)


def _means(cells: Sequence[StudyCell]) -> tuple[float, float | None]:
    balanced = [cell.balanced for cell in cells if cell.balanced is not None]
    mean = float(np.mean([cell.mean for cell in cells]))
    return mean, float(np.mean(balanced)) if len(balanced) == len(cells) else None


def _accuracies(mean: float, balanced: float | None) -> str:
    return f"{mean:.1f}" if balanced is None else f"{mean:.1f} ({balanced:.1f})"


def _excludes_zero(found: PairedDifference) -> bool:
    return found.low > 0 or found.high < 0


def _dots(study: Study, targets: Sequence[str], collected: Sequence[Collected]) -> Figure:
    """Draw one variant: its difference from direct transfer on each target, with the interval."""
    (variant,) = study.variants
    figure = figure_below_head(7.6, 1.5 + 0.36 * len(targets), _head_result(collected))
    axes = figure.subplots()
    for y, target in enumerate(targets):
        found, (text, *_) = paired(collected, variant, None, target), _cell(collected, variant, target)
        if found is not None:
            one = found.accuracy
            reach = [[one.difference - one.low], [one.high - one.difference]]
            filled = AFTER_COLOUR if _excludes_zero(one) else "white"
            axes.errorbar(one.difference, y, xerr=reach, color=AFTER_COLOUR, marker="o", mfc=filled, capsize=3)
        label = text.replace("\n", ":  ")
        axes.text(1.02, y, label, transform=axes.get_yaxis_transform(), va="center", fontsize=8.5)
    axes.text(1.02, -0.9, "accuracy (balanced), gain", transform=axes.get_yaxis_transform(), fontsize=8.5)
    axes.axvline(0.0, color="#777777", lw=0.8)
    axes.set_yticks(range(len(targets)), [dataset_title(target) for target in targets])
    axes.set_ylim(len(targets) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("points over direct transfer, 95 % interval; filled where it excludes 0", fontsize=9)
    seeds = f"{len(study.seeds)} seed{'s' if len(study.seeds) > 1 else ''}"
    head(figure, f"{study.title}: what adaptation gains ({seeds})", _head_result(collected))
    return figure


def _along(study: Study, targets: Sequence[str], collected: Sequence[Collected]) -> Figure:
    """Draw the accuracy along the study's parameter: one panel per target, all with the same range in points."""
    assert study.along is not None
    columns = min(3, len(targets))
    rows = -(-len(targets) // columns)
    figure = figure_below_head(3.1 * columns, 0.9 + 2.2 * rows, _head_result(collected))
    panels = list(figure.subplots(rows, columns, squeeze=False, sharex=True).flat)
    for axes, target in zip(panels, targets, strict=False):
        _along_panel(axes, study, target, collected)
    for axes in panels[len(targets) :]:
        axes.set_visible(False)
    limits = [axes.get_ylim() for axes in panels[: len(targets)]]
    reach = max(high - low for low, high in limits) / 2
    for axes, (low, high) in zip(panels, limits, strict=False):
        axes.set_ylim((low + high) / 2 - reach, (low + high) / 2 + reach)
        axes.xaxis.set_tick_params(labelbottom=True)
    default = _default(collected[0].run.params, study.along)
    for axes in panels if default is not None else ():
        axes.axvline(default, color="#555555", lw=1, ls=":")
    marked = "" if default is None else f"; dotted: the method's default, {default:g}"
    figure.supxlabel(f"{study.along}{marked}; dashed: direct transfer; bars: deviation over seeds", fontsize=9)
    figure.supylabel("accuracy (%)", fontsize=9)
    head(figure, study.title, _head_result(collected))
    return figure


def _along_panel(axes: Axes, study: Study, target: str, collected: Sequence[Collected]) -> None:
    assert study.along is not None
    axes.set_title(dataset_title(target), fontsize=10)
    points = [
        (float(changes[study.along]), cell.mean, cell.deviation)  # type: ignore[arg-type]
        for variant, changes in study.variants.items()
        if (cell := accuracy(collected, variant, target))
    ]
    if points:
        x, mean, deviation = np.array(sorted(points)).T
        axes.errorbar(x, mean, yerr=deviation, color=AFTER_COLOUR, marker="o", ms=4, capsize=2, lw=1.2)
    if base := accuracy(collected, next(iter(study.variants)), target, "before"):
        axes.axhline(base.mean, color="#777777", lw=1, ls="--")


def _default(params: Params, along: str) -> float | None:
    """Return the default value of a parameter, given its full name; None if it has none."""
    *sections, key = along.split(".")
    section: object = params
    for name in sections:
        section = getattr(section, name)
    field = getattr(type(section), "model_fields", {}).get(key)
    value = None if field is None or field.default is PydanticUndefined else field.default
    return float(value) if isinstance(value, int | float) else None


def _head_result(collected: Sequence[Collected]) -> Result:
    """Return the result whose pictures the title names: a drawn one, if there is any."""
    return next((one.result for one in collected if one.result.drawn), collected[0].result)
