"""Formatting of table cells and tables in Markdown."""

import re
from collections.abc import Iterable, Sequence

from pipeline.evaluation.comparison import PairedDifference
from pipeline.evaluation.records import Metrics, Result
from pipeline.files.names import visible
from pipeline.labels import DRAWN_MARK
from pipeline.reporting.titles import KNOWN_MARK, OTHER_CODE_MARK, UNLIKE_MARK, step_word

KEPT_SOURCE = "kept the source model"
"""The verdict if a label-free rule has kept the source model."""

NOTHING = "–"
MARK_NOTE = f"{DRAWN_MARK} Measured on drawn stand-ins: never comparable with the other numbers."
KNOWN_NOTE = (
    f"{KNOWN_MARK} Measured with a given list of the target's expressions (split.TARGET.classes): no other expression "
    "could be predicted. Not comparable with methods without this list."
)

OTHER_CODE_NOTE = f"{OTHER_CODE_MARK} Computed with other code than the last commit's when the study was collected."
UNLIKE_NOTE = f"{UNLIKE_MARK} A mean over results with different precision, devices or versions."

HARDLY = 0.05
"""A method's own loss hardly acts if its share of the source's cross entropy is below this."""

ORACLE = "Oracle ‡"
ORACLE_NOTE = (
    "‡ Oracle is not a result: it is the best epoch (in a search, the best configuration) by target test labels, which "
    "an unsupervised method does not have. It never chooses a model. All other measured accuracies are from the last "
    "epoch, or from the epoch or configuration that a validator chose without labels if the row says so. Brackets hold "
    "the 95 % interval (bootstrap over the test part's subjects, or else its sequences, or else its pictures; each run "
    "says which). Balanced accuracy is the mean of the classes' recalls."
)


def percent(fraction: float, result: Result) -> str:
    """Format a fraction in per cent with one decimal, with the result's marks."""
    return marked(f"{100 * fraction:.1f}", result)


def signed(points: float) -> str:
    """Format a difference with its sign: a minus sign instead of a hyphen, no sign for 0.0."""
    # The same difference, computed in two ways, may be 3.75 or 3.7499999999; both are shown alike.
    text = f"{round(points, 9):+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def marked(text: str, result: Result) -> str:
    """Append the marks of ``result`` to ``text``."""
    return with_marks(text, marks_of(result))


def marks_of(result: Result) -> list[str]:
    """Return the marks of a result: for drawn stand-ins in source or target, and for known classes."""
    marks = ((DRAWN_MARK, result.drawn), (KNOWN_MARK, result.split.protocol.classes is not None))
    return [mark for mark, holds in marks if holds]


def with_marks(text: str, marks: Iterable[str]) -> str:
    """Append marks to ``text``."""
    return " ".join([text, *marks])


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a Markdown table; the first ``left`` columns are left-aligned, the others right-aligned."""
    rule = [":---" if column < left else "---:" for column in range(len(head))]
    return "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in (head, rule, *rows))


def code(text: str) -> str:
    """Return a code span of any text; file names may contain backticks and line breaks."""
    text = visible(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def accuracy_cell(result: Result, metrics: Metrics | None) -> str:
    """Return a cell such as "61.3 ◊ [52.0, 70.0], balanced 58.1 ◊", or "no labels"."""
    if metrics is None:
        return _nothing(result)
    accuracy = _with_interval(result, metrics.accuracy, metrics.interval)
    return f"{accuracy}, balanced {percent(metrics.balanced_accuracy, result)}"


def accuracy_cells(result: Result, metrics: Metrics | None) -> tuple[str, str]:
    """Return separate cells of accuracy and balanced accuracy, such as "61.3 ◊ [52.0, 70.0]", or "no labels"."""
    if metrics is None:
        return _nothing(result), _nothing(result)
    return (
        _with_interval(result, metrics.accuracy, metrics.interval),
        _with_interval(result, metrics.balanced_accuracy, metrics.balanced_interval),
    )


def _nothing(result: Result) -> str:
    return NOTHING if result.n_test else "no labels"


def _with_interval(result: Result, share: float, interval: tuple[float, float] | None) -> str:
    if interval is None:
        return percent(share, result)
    return f"{percent(share, result)} [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"


def difference_text(found: PairedDifference, marks: Iterable[str]) -> str:
    """Format a difference in points with its interval: "+3.1 ◊ [+1.0, +5.2]"."""
    return f"{with_marks(signed(found.difference), marks)} {interval_text(found.low, found.high)}"


def interval_text(low: float | None, high: float | None) -> str:
    """Format the interval of a difference in points, "[+1.0, +5.2]"; a dash if it is unknown."""
    return NOTHING if low is None or high is None else f"[{signed(low)}, {signed(high)}]"


def share_text(share: float, marks: Iterable[str]) -> str:
    """Format the share of a method's own loss terms: "0.8 % ◊, **its own loss hardly acts**"."""
    said = ", **its own loss hardly acts**" if share < HARDLY else ""
    return f"{with_marks(f'{100 * share:.1f} %', marks)}{said}"


def both_cell(result: Result, accuracy: float, balanced_accuracy: float | None, said: str = "") -> str:
    """Return a cell such as "61.3 ◊ (epoch 3), balanced 58.1 ◊"; older results have no balanced accuracy.

    Args:
        result: its marks are appended to each number.
        accuracy: a fraction.
        balanced_accuracy: a fraction.
        said: text after the accuracy.
    """
    first = f"{percent(accuracy, result)}{said}"
    return first if balanced_accuracy is None else f"{first}, balanced {percent(balanced_accuracy, result)}"


def oracle_cell(result: Result) -> str:
    """Return the cell of the oracle, if there is one."""
    best = result.oracle
    if best is None or not result.adapts:
        return NOTHING
    return both_cell(result, best.accuracy, best.balanced_accuracy, f" ({step_word(result)} {best.epoch})")


def section(title: str, table: str, notes: Sequence[str]) -> str:
    """Return a table with title, notes and explanations of all marks in it."""
    explained = (
        (ORACLE[-1], ORACLE_NOTE),
        (DRAWN_MARK, MARK_NOTE),
        (KNOWN_MARK, KNOWN_NOTE),
        (OTHER_CODE_MARK, OTHER_CODE_NOTE),
        (UNLIKE_MARK, UNLIKE_NOTE),
    )
    signs = [note for sign, note in explained if sign in table]
    return "\n\n".join((f"## {title}", table, *notes, *signs))
