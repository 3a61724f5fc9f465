"""Draw docs/real-faces.png, what every method gains on real faces, from the tables of docs/results.md.

python -m benchmarks.real_faces

A method without a row in one of the tables is drawn there as "not measured"; those without any are named below.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.config.methods import METHODS
from pipeline.reporting.figures import AFTER_COLOUR, STYLE, WARNING_COLOUR

DOCS = Path(__file__).parents[1] / "docs"
PICTURE = DOCS / "real-faces.png"
DIRECTIONS = ("FER2013 → CK+48", "CK+48 → FER2013")


@dataclass(frozen=True)
class Row:
    """A method in one direction.

    Attributes:
        method: its title.
        accuracies: in per cent, one a seed.
        gains: over direct transfer in points, one a seed.
        mean: of the accuracies, as the table has it.
        deviation: their standard deviation.
        gain: the mean gain.
    """

    method: str
    accuracies: tuple[float, ...]
    gains: tuple[float, ...]
    mean: float
    deviation: float
    gain: float


def rows(text: str, direction: str) -> list[Row]:
    """The table of one direction, in its order.

    Args:
        text: docs/results.md.
        direction: the table is that of section "Every method, DIRECTION".

    Raises:
        ValueError: there is no such section or no row in it.
    """
    _, found, section = text.partition(f"\n## Every method, {direction}\n")
    table = [_row(line) for line in section.partition("\n## ")[0].splitlines() if re.match(r"\| [A-Z].* ± ", line)]
    if not found or not table:
        raise ValueError(f"docs/results.md has no rows under 'Every method, {direction}'")
    return table


def _row(line: str) -> Row:
    method, *cells = (cell.strip() for cell in line.replace("−", "-").strip("|\n").split("|"))
    seeds = [re.findall(r"[-+]?\d+\.\d", cell) for cell in cells[:3]]
    mean, deviation = map(float, cells[3].split(" ± "))
    return Row(
        method,
        tuple(float(accuracy) for accuracy, _ in seeds),
        tuple(float(gain) for _, gain in seeds),
        mean,
        deviation,
        float(cells[5]),
    )


def draw(text: str, registered: Sequence[str] = ()) -> Figure:
    """A panel a direction, a line a method in the order of the first direction's means, a dot a seed.

    Args:
        text: docs/results.md.
        registered: titles of methods, of which those without a row are named below.
    """
    tables = {direction: {row.method: row for row in rows(text, direction)} for direction in DIRECTIONS}
    methods = list(dict.fromkeys(method for table in tables.values() for method in table))
    figure = Figure(figsize=(9.6, 1.7 + 0.27 * len(methods)), layout="constrained")
    for axes, (direction, table) in zip(figure.subplots(1, 2, sharey=True), tables.items(), strict=True):
        _panel(axes, methods, table)
        transfer = np.mean([np.subtract(row.accuracies, row.gains) for row in table.values()])
        axes.set_title(f"{direction}\ndirect transfer: {transfer:.1f} %")
    figure.axes[0].set_yticks(range(len(methods)), methods)
    figure.axes[0].invert_yaxis()
    said = "accuracy over direct transfer (points); a dot a seed, a bar their mean"
    if missing := [method for method in registered if method not in methods]:
        said += "\n" + fill(f"not measured here: {', '.join(missing)}", 110)
    figure.supxlabel(said, fontsize=9)
    return figure


def _panel(axes: Axes, methods: list[str], table: dict[str, Row]) -> None:
    for y, method in enumerate(methods):
        row = table.get(method)
        if row is not None:
            axes.barh(y, row.gain, 0.56, color=_colour(row.gain), alpha=0.35)
            colours = [_colour(gain) for gain in row.gains]
            axes.scatter(row.gains, [y] * len(row.gains), s=16, color=colours, alpha=0.8, zorder=3, linewidths=0)
        label = "not measured" if row is None else f"{row.mean:.1f} ± {row.deviation:.1f}"
        axes.text(1.02, y, label, transform=axes.get_yaxis_transform(), va="center", fontsize=8)
    axes.text(1.02, -1, "accuracy (%)", transform=axes.get_yaxis_transform(), va="center", fontsize=8)
    axes.axvline(0.0, color="#555555", lw=0.8)
    axes.set_ylim(-0.7, len(methods) - 0.3)
    axes.grid(axis="x", color="#E3E3E3", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _colour(gain: float) -> str:
    """By its sign; none has a colour of its own."""
    return AFTER_COLOUR if gain > 0 else WARNING_COLOUR if gain < 0 else "#777777"


def described(text: str) -> str:
    """What was measured, in words: it goes into the picture's file, so that a test can tell an old picture."""
    return "\n".join(f"{direction}: {row}" for direction in DIRECTIONS for row in rows(text, direction))


if __name__ == "__main__":
    results = (DOCS / "results.md").read_text(encoding="utf-8")
    with matplotlib.style.context(STYLE, after_reset=True):
        titles = [METHODS.title(name) for name in METHODS if name != "dt"]
        draw(results, titles).savefig(PICTURE, metadata={"Software": None, "Description": described(results)})
