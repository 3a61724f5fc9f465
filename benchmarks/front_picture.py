"""Draw docs/fer2013-ckplus48.png, the README's picture: direct transfer against adaptation on real faces.

python -m benchmarks.front_picture

A dot is a source model's mean over seeds (docs/results/heads-fer2013-ckplus48-*.json, written by benchmarks.heads). A
line is the 95 % interval of the mean gain (the table "The head alone" of docs/results.md, which benchmarks.heads makes
of the same files).
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import matplotlib.style
from matplotlib.figure import Figure

from pipeline.files.io import read_json
from pipeline.reporting.figures import AFTER_COLOUR, STYLE, WARNING_COLOUR
from pipeline.reporting.markdown import signed

DOCS = Path(__file__).parents[1] / "docs"
PICTURE = DOCS / "fer2013-ckplus48.png"
FILES = sorted((DOCS / "results").glob("heads-fer2013-ckplus48-*.json"))
TITLES: Mapping[str, str] = {
    "POCAN-lr0.01": "POCAN, ten times the rates",
    "Concord-shared-norms": "Concord, norms of both sets",
    "lame": "LAME",
    "Concord": "Concord",
    "POCAN": "POCAN",
    "t3a": "T3A",
    "centroid": "Class centroids",
    "shift": "Shift of the mean",
}
"""The variants that are drawn, as the picture calls them; the others leave a part of a method out."""

NEUTRAL = "#777777"


@dataclass(frozen=True)
class Row:
    """A variant.

    Attributes:
        title: its name in the picture.
        gain: the mean over source models and seeds, in points, as the table has it.
        low: of its 95 % interval.
        high: of the same.
        gains: a source model's mean over seeds each, in points.
    """

    title: str
    gain: float
    low: float
    high: float
    gains: tuple[float, ...]

    @property
    def colour(self) -> str:
        """Of a gain or a loss that is beyond chance; grey: it is not."""
        return AFTER_COLOUR if self.low > 0 else WARNING_COLOUR if self.high < 0 else NEUTRAL


def rows(text: str, files: Sequence[Path]) -> tuple[float, list[Row]]:
    """Direct transfer's mean accuracy in per cent, and a row a variant, the largest gain first.

    Args:
        text: docs/results.md.
        files: of benchmarks.heads, one a source model.

    Raises:
        ValueError: the table has no row, or another mean gain than the files.
    """
    runs: dict[str, dict[Path, list[float]]] = defaultdict(lambda: defaultdict(list))
    transfer = []
    for file in files:
        for one in read_json(file)["runs"]:
            runs[one["variant"]][file].append(100 * (one["last"][0] - one["dt"][0]))
            transfer += [100 * one["dt"][0]] if one["variant"] == "DT" else []
    section = text.partition("\n## The head alone\n")[2].partition("\n## ")[0].replace("−", "-")
    found = []
    for variant, title in TITLES.items():
        pattern = rf"\| {re.escape(variant)} \|[^|]*\| ([-+]?[\d.]+) \[([-+]?[\d.]+), ([-+]?[\d.]+)\] \|"
        row = re.search(pattern, section)
        gains = tuple(fmean(of_model) for of_model in runs[variant].values())
        if row is None or not gains or abs(fmean(gains) - float(row[1])) > 0.06:
            raise ValueError(f"docs/results.md, The head alone: {variant}: no row, or not that of {len(files)} files")
        found.append(Row(title, float(row[1]), float(row[2]), float(row[3]), gains))
    return fmean(transfer), sorted(found, key=lambda row: -row.gain)


def draw(transfer: float, found: Sequence[Row]) -> Figure:
    """A line a variant: its interval, its mean, and a dot a source model, beside direct transfer."""
    figure = Figure(figsize=(8.4, 1.5 + 0.36 * len(found)), layout="constrained")
    axes = figure.subplots()
    for y, row in enumerate(found):
        axes.plot([transfer + row.low, transfer + row.high], [y, y], color=row.colour, lw=2.2, solid_capstyle="round")
        axes.scatter([transfer + gain for gain in row.gains], [y] * len(row.gains), s=15, color="white", zorder=3).set(
            edgecolor=row.colour, linewidth=1.0
        )
        mean = transfer + fmean(row.gains)
        axes.scatter([mean], [y], s=52, color=row.colour, zorder=4)
        text = f"{mean:.1f}   {signed(row.gain)} [{signed(row.low)}, {signed(row.high)}]"
        axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9, color="#333333")
    axes.axvline(transfer, color="#333333", lw=1.2)
    axes.annotate(
        f"direct transfer, {transfer:.1f} %",
        (transfer, -0.75),
        ha="center",
        va="bottom",
        fontsize=9,
        annotation_clip=False,
    )
    axes.text(1.02, -0.75, "mean   gain [95 %]", transform=axes.get_yaxis_transform(), va="bottom", fontsize=9)
    axes.set_yticks(range(len(found)), [row.title for row in found])
    axes.set_ylim(len(found) - 0.4, -0.75)
    axes.set_xlabel("accuracy on CK+48 (%); large dot: mean, small dots: the three source models")
    axes.grid(axis="x", color="#E3E3E3", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure


def described(transfer: float, found: Sequence[Row]) -> str:
    """What was measured, in words: it goes into the picture's file, so that a test can tell an old picture."""
    return "\n".join([f"direct transfer {transfer:.3f}", *map(str, found)])


if __name__ == "__main__":
    measured = rows((DOCS / "results.md").read_text(encoding="utf-8"), FILES)
    with matplotlib.style.context(STYLE, after_reset=True):
        draw(*measured).savefig(PICTURE, metadata={"Software": None, "Description": described(*measured)})
