"""Update the tables and figures on real faces in docs/ from the stored results in docs/results.

python -m benchmarks.real_faces

The short tables of docs/results.md have the rows that its comments name, from the whole tables in docs/results; the
table of docs/first-run.md has one row per source model of the preset. docs/fer2013-ckplus48.png, in the README, shows
some of the rows, docs/real-faces.png all of them in both directions. A dot is a source model's mean over seeds (JSON
files written by benchmarks.heads). A line is the 95 % interval of the mean gain (tables written by benchmarks.heads).
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from textwrap import indent

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import encoder_statistics, stage1
from benchmarks.heads import AS_CONFIGURED, CONSISTENT, DT, POCAN, SEARCHED, mean_scores
from pipeline.files.io import read_json, write_text
from pipeline.reporting.figures import AFTER_COLOUR, STYLE, WARNING_COLOUR
from pipeline.reporting.markdown import markdown_table, signed

DOCS = Path(__file__).parents[1] / "docs"
FRONT, EVERY = DOCS / "fer2013-ckplus48.png", DOCS / "real-faces.png"
DIRECTIONS: Mapping[str, str] = {
    "fer2013-ckplus48": "FER2013 → CK+48",
    "cross-entropy-fer2013-ckplus48": "FER2013 → CK+48, stage 1 by cross entropy",
    "ckplus48-fer2013": "CK+48 → FER2013",
}
"""Titles of the stored results, by name."""
SHOWN = (
    POCAN,
    CONSISTENT,
    "Concord",
    "LAME",
    "Centroids",
    "Source fine-tuning",
    "DANN",
    "SHOT",
    "AdaBN",
)
"""The rows of the README's figure, as configured: methods of both families, and controls."""
NEUTRAL = "#777777"
PAGES = DOCS / "results.md", DOCS / "first-run.md"
PRESET = "fer2013-ckplus48"
"""Name of the stored results of params/fer2013-ckplus48.yaml."""
TABLE = re.compile(r"(<!-- rows of results/(\S+)\.md: (.+?) -->\n\n).*?(?=\n\n)", re.DOTALL)
"""A short table on a page; the comment before it names the whole table and the rows, separated by semicolons."""
STAGE_1 = re.compile(r"(<!-- losses of stage 1 -->\n\n).*?(?=\n\n)", re.DOTALL)
"""The table of ``benchmarks.stage1`` on the page."""
STATISTICS = re.compile(r"(<!-- encoder statistics on trial targets -->\n\n).*?(?=\n\n)", re.DOTALL)
"""The first table of ``benchmarks.encoder_statistics`` on the page."""
CAMERAS = re.compile(r"(<!-- restoration by camera -->\n\n).*?(?=\n\n)", re.DOTALL)
"""Its second table."""
MODELS = re.compile(r"( *)(<!-- source models of the preset -->\n\n).*?(?=\n\n)", re.DOTALL)
"""The table of ``source_models`` on the page, indented as the comment before it."""
COLUMNS = ("accuracy", "gain", "balanced gain", "p (Holm)")
"""The columns of a short table between name and number of runs: the first ones of the whole table."""


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        name: name of the method.
        kind: as configured or searched.
        mean: mean accuracy, in per cent.
        gain: mean gain over source models and seeds, in points, from the table.
        low: lower bound of its 95 % interval.
        high: upper bound of its 95 % interval.
        gains: mean gain over seeds of each source model, in points.
    """

    name: str
    kind: str
    mean: float
    gain: float
    low: float
    high: float
    gains: tuple[float, ...]

    @property
    def title(self) -> str:
        """The title in figures."""
        return f"{self.name}, searched" if self.kind == SEARCHED else self.name

    @property
    def colour(self) -> str:
        """The colour of a significant gain or loss; grey if it is not significant."""
        return AFTER_COLOUR if self.low > 0 else WARNING_COLOUR if self.high < 0 else NEUTRAL


def files(direction: str) -> list[Path]:
    """Return the stored runs of a direction, one file per source model."""
    return sorted((DOCS / "results").glob(f"heads-{direction}-*.json"))


def rows(direction: str) -> tuple[float, list[Row]]:
    """Return direct transfer's mean accuracy in per cent, and the rows of a table, the largest gain first.

    Raises:
        ValueError: table and files differ in a mean gain or in their rows.
    """
    runs: dict[tuple[str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    transfer: dict[int, float] = {}
    for file in files(direction):
        content = read_json(file)
        for one in content["runs"]:
            runs[one["row"], one["kind"]][content["source_seed"]].append(100 * one["scores"][0])
        transfer[content["source_seed"]] = runs[DT, AS_CONFIGURED][content["source_seed"]][0]
    del runs[DT, AS_CONFIGURED]
    found = []
    for (name, kind), cells in _whole(direction).items():
        if name == DT:
            continue
        gain, low, high = (float(number) for number in re.findall(r"[-+]?[\d.]+", cells[1].replace("−", "-")))
        of_models = runs.pop((name, kind))
        gains = tuple(fmean(of_model) - transfer[seed] for seed, of_model in of_models.items())
        mean = fmean(score - transfer[seed] for seed, of_model in of_models.items() for score in of_model)
        if abs(mean - gain) > 0.06:
            raise ValueError(f"docs/results/{direction}.md: {name}, {kind}: not that of the files")
        scores = fmean(score for of_model in of_models.values() for score in of_model)
        found.append(Row(name, kind, scores, gain, low, high, gains))
    if runs:
        raise ValueError(f"docs/results/{direction}.md: lacks {', '.join(' '.join(key) for key in runs)}")
    return fmean(transfer.values()), sorted(found, key=lambda row: -row.gain)


def _whole(table: str) -> dict[tuple[str, str], list[str]]:
    """Return the rows of a whole table in order: cells by name and kind."""
    text = (DOCS / f"results/{table}.md").read_text(encoding="utf-8")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {(name, kind): cells for name, kind, *cells in lines[2:]}


def front() -> tuple[float, list[Row]]:
    """Return direct transfer's accuracy and the rows of the README's figure."""
    transfer, found = rows("fer2013-ckplus48")
    return transfer, [row for row in found if row.kind == AS_CONFIGURED and row.name in SHOWN]


def draw_front(transfer: float, found: Sequence[Row]) -> Figure:
    """Draw one line per row with interval, mean and one dot per source model."""
    figure = Figure(figsize=(8.4, 1.5 + 0.36 * len(found)), layout="constrained")
    axes = figure.subplots()
    _panel(axes, found, transfer)
    for y, row in enumerate(found):
        text = f"{row.mean:.1f}   {signed(row.gain)} [{signed(row.low)}, {signed(row.high)}]"
        axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9, color="#333333")
    title = axes.annotate(f"direct transfer, {transfer:.1f} %", (transfer, -0.75), annotation_clip=False)
    title.set(ha="center", va="bottom", fontsize=9)
    axes.text(1.02, -0.75, "mean   gain [95 %]", transform=axes.get_yaxis_transform(), va="bottom", fontsize=9)
    axes.set_xlim(right=min(axes.get_xlim()[1], 100.0))  # an interval may end beyond what an accuracy can be
    models = len(files("fer2013-ckplus48"))
    axes.set_xlabel(
        f"accuracy on CK+48 (%): direct transfer's mean plus the gain; small dots: the {models} source models"
    )
    return figure


def draw_every(tables: Mapping[str, tuple[float, Sequence[Row]]]) -> Figure:
    """Draw one panel per direction with the gains of all rows over direct transfer."""
    longest = max(len(found) for _, found in tables.values())
    figure = Figure(figsize=(6.2 * len(tables), 1.4 + 0.26 * longest), layout="constrained")
    for axes, (direction, (transfer, found)) in zip(
        figure.subplots(1, len(tables), squeeze=False)[0], tables.items(), strict=True
    ):
        _panel(axes, found, 0.0)
        axes.set_title(f"{DIRECTIONS[direction]}\ndirect transfer: {transfer:.1f} %")
        axes.set_xlabel("accuracy over direct transfer (points)")
    return figure


def _panel(axes: Axes, found: Sequence[Row], transfer: float) -> None:
    for y, row in enumerate(found):
        axes.plot([transfer + row.low, transfer + row.high], [y, y], color=row.colour, lw=2.2, solid_capstyle="round")
        axes.scatter([transfer + gain for gain in row.gains], [y] * len(row.gains), s=15, color="white", zorder=3).set(
            edgecolor=row.colour, linewidth=1.0
        )
        axes.scatter([transfer + row.gain], [y], s=46, color=row.colour, zorder=4)
    axes.axvline(transfer, color="#333333", lw=1.2)
    axes.set_yticks(range(len(found)), [row.title for row in found])
    axes.set_ylim(len(found) - 0.4, -0.75)
    axes.grid(axis="x", color="#E3E3E3", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def with_tables(page: str) -> str:
    """Return the page with updated short tables.

    Raises:
        ValueError: a whole table lacks a row that the page names.
    """
    page = STAGE_1.sub(lambda found: found[1] + stage1.table(DOCS / "results"), page)
    page = STATISTICS.sub(lambda found: found[1] + encoder_statistics.table(DOCS / "results"), page)
    page = CAMERAS.sub(lambda found: found[1] + encoder_statistics.by_camera(DOCS / "results"), page)
    page = MODELS.sub(lambda found: found[1] + found[2] + indent(source_models(), found[1]), page)
    return TABLE.sub(lambda found: found[1] + _short(found[2], found[3].split("; ")), page)


def _short(table: str, wanted: Sequence[str]) -> str:
    """Return some rows of a whole table, in its order, which is by balanced accuracy."""
    found = {f"{name}, {kind}" if kind == SEARCHED else name: cells for (name, kind), cells in _whole(table).items()}
    if missing := [name for name in wanted if name not in found]:
        raise ValueError(f"docs/results/{table}.md: has no row {', '.join(missing)}")
    lines = [[name, *cells[: len(COLUMNS)], cells[-2]] for name, cells in found.items() if name in wanted]
    return markdown_table(["in per cent (balanced)", *COLUMNS, "models × seeds"], lines)


def source_models() -> str:
    """Return one row per source model of the preset: accuracy (balanced) in per cent, means over seeds of stage 2."""
    lines = []
    for file in files(PRESET):
        content = read_json(file)
        own = content["source"]["accuracy"], content["source"]["balanced_accuracy"]
        scores = [own, *(mean_scores(content["runs"], row) for row in (DT, CONSISTENT, POCAN))]
        lines.append(
            [
                str(content["source_seed"]),
                *(f"{100 * accuracy:.1f} ({100 * balanced:.1f})" for accuracy, balanced in scores),
            ]
        )
    head = ["source model", "FER2013's own test", "CK+48 before (direct transfer, DT)"]
    return markdown_table([*head, "after (POCAN, consistent loss)", "after (POCAN, printed loss)"], lines)


def described(tables: Sequence[tuple[float, Sequence[Row]]]) -> str:
    """What was measured, in words: it goes into a picture's file, so that a test can tell an old picture."""
    return "\n".join(
        line for transfer, found in tables for line in [f"direct transfer {transfer:.3f}", *map(str, found)]
    )


def main() -> None:
    """Draw both pictures, and write the short tables."""
    for page in PAGES:
        write_text(page, with_tables(page.read_text(encoding="utf-8")))
    tables, shown_first = {direction: rows(direction) for direction in DIRECTIONS if files(direction)}, front()
    with matplotlib.style.context(STYLE, after_reset=True):
        for path, figure, shown in (
            (FRONT, draw_front(*shown_first), [shown_first]),
            (EVERY, draw_every(tables), list(tables.values())),
        ):
            figure.savefig(path, metadata={"Software": None, "Description": described(shown)})


if __name__ == "__main__":
    main()
