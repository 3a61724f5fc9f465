"""Experiments side by side in the terminal, from the data of ``dvc exp show``."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.config.project import params_file
from pipeline.config.schema import Params
from pipeline.errors import PipelineError
from pipeline.git import GitError, git
from pipeline.labels import DRAWN_MARK
from pipeline.reporting.markdown import MARK_NOTE, NOTHING, interval_text, signed, with_marks
from pipeline.reporting.text_table import GAP, text_table

WIDTH = 160
"""Maximum width of a line, in characters."""

CHANGES_WIDTH = 30
"""Minimum width of the column of parameters, in characters. If there are too many targets, only the means are shown."""

EXPLAINED = (
    "accuracy in per cent; gain: the mean's, over direct transfer, in points, with its 95 % interval over test pictures"
)

NO_RESULTS = (
    "note: {0} has no results of its own to compare with. Commit those of a run without experiments: dvc repro && "
    'git add dvc.lock reports && git commit -m "My first run"'
)

NOT_DONE = ("Queued", "Running", "Failed")
"""States of experiments without numbers of their own; DVC shows those of the commit from which they started."""

SECTIONS = {*Params.model_fields, "methods"}
"""The top-level keys of params.yaml."""

Row = Mapping[str, Any]


def compare(num: int = 1, width: int = WIDTH) -> str:
    """List the last commits, each with its experiments: accuracies, mean gain, and the parameters that differ.

    Args:
        num: number of commits.
        width: maximum width of a line, in characters.

    Raises:
        PipelineError: this folder is not in a project of DVC and git, or git refuses to use it.
    """
    return table(_shown(num), width)


def _shown(num: int) -> list[Row]:
    # Imported here because DVC takes a second to load, and other commands do not need it.
    from dvc.api import exp_show
    from dvc.exceptions import DvcException
    from scmrepo.exceptions import SCMError

    try:
        git("log", "--max-count=1")  # git explains if it refuses or has no commit; DVC's library does not
        return list(exp_show(num=num))
    except (GitError, DvcException, SCMError) as error:
        root = "" if params_file() else "; run from the project's root"
        raise PipelineError(f"experiments cannot be compared: {error}{root}") from error


def table(shown: Sequence[Row], width: int = WIDTH) -> str:
    """Return the table of ``compare`` for given rows.

    Args:
        shown: rows of ``dvc.api.exp_show``: the workspace, then each commit followed by its experiments.
        width: maximum width of a line, in characters.
    """
    workspace, *rest = shown
    # If nothing has changed since the last commit, the row of the workspace is redundant.
    kept = rest if rest and not changes(workspace, rest[0]) and _numbers(workspace) == _numbers(rest[0]) else shown
    targets = [key for key in dict.fromkeys(key for row in kept for key in _numbers(row)) if key != "mean"]
    head = ["experiment", *targets, "mean", "gain"]
    baseline = rest[0] if rest else workspace
    cells, told = [], []
    for row in kept:
        is_commit = row["typ"] == "baseline" and row is not workspace
        if is_commit:
            baseline = row
        name = str(row["Experiment"] or row["rev"])
        cells.append([name if row["typ"] == "baseline" else f"  {name}", *_cells(row, targets)])
        told.append("" if is_commit else ", ".join(changes(row, baseline)))
    room = width - max(map(len, text_table(head, cells).splitlines())) - len(GAP)
    if room < CHANGES_WIDTH and targets:
        head, cells = [head[0], *head[-2:]], [[line[0], *line[-2:]] for line in cells]
        room = width - max(map(len, text_table(head, cells).splitlines())) - len(GAP)
    lines = _beside(text_table(head, cells).splitlines(), ["parameters that differ", *told], max(room, CHANGES_WIDTH))
    notes = [NO_RESULTS.format(rest[0]["rev"])] if rest and not _numbers(rest[0]) else []
    if any(DRAWN_MARK in cell for line in cells for cell in line):
        notes.append(MARK_NOTE)
    notes = [line for note in [EXPLAINED, *notes] for line in textwrap.wrap(note, width, break_on_hyphens=False)]
    return "\n".join([*lines, "", *notes])


def changes(row: Row, baseline: Row) -> list[str]:
    """Return the parameters in which two rows differ, such as ``adapt.tau=0.6``."""
    names = [name for name in dict.fromkeys([*row, *baseline]) if _is_parameter(name)]
    return [f"{name}={_value(row.get(name))}" for name in names if row.get(name) != baseline.get(name)]


def _is_parameter(name: str) -> bool:
    # "source" is a parameter; "source.accuracy" is a metric of the source model.
    return name.partition(".")[0] in SECTIONS and not name.startswith("source.")


def _value(value: Any) -> str:
    if value is None:
        return "null"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _numbers(row: Row) -> dict[str, float]:
    """Return the accuracies of a row by target, and their mean, in per cent; empty for unfinished experiments."""
    if row.get("State") in NOT_DONE:
        return {}
    found = {name.partition(".")[2]: value for name, value in row.items() if name.startswith("accuracy.")}
    return {target: value for target, value in found.items() if isinstance(value, float)}


def _cells(row: Row, targets: Sequence[str]) -> list[str]:
    accuracies, gain = _numbers(row), row.get("gain.mean")
    if not accuracies:
        return [*[NOTHING] * len(targets), str(row.get("State") or NOTHING), NOTHING]
    drawn = {target: _drawn(row, target) for target in accuracies if target != "mean"}
    drawn["mean"] = any(drawn.values())

    def marked(text: str, target: str) -> str:
        return with_marks(text, [DRAWN_MARK] if drawn[target] else [])

    cells = [
        marked(f"{accuracies[target]:.1f}", target) if target in accuracies else NOTHING
        for target in [*targets, "mean"]
    ]
    if not isinstance(gain, float):
        return [*cells, NOTHING]
    told = marked(signed(gain), "mean")
    low, high = row.get("gain_low.mean"), row.get("gain_high.mean")
    known = isinstance(low, float) and isinstance(high, float)
    return [*cells, f"{told} {interval_text(low, high)}" if known else told]


def _drawn(row: Row, target: str) -> bool:
    """Return whether the source or this target is a drawn stand-in."""
    return row.get("source.provenance") == "stand-in" or repr(target) in str(row.get("standins.sets"))


def _beside(lines: Sequence[str], texts: Sequence[str], room: int) -> list[str]:
    """Return lines with a text beside each, wrapped to as many lines as necessary."""
    width = max(map(len, lines))
    out = []
    for line, text in zip(lines, texts, strict=True):
        first, *others = textwrap.wrap(text, room, break_on_hyphens=False) or [""]
        out.append(f"{line.ljust(width)}{GAP}{first}".rstrip())
        out += [f"{'':{width}}{GAP}{other}" for other in others]
    return out
