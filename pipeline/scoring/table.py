"""A comparison as text for the terminal, 80 columns wide."""

import textwrap
from collections.abc import Iterator

from pipeline.files.names import shortened, visible
from pipeline.labels import DRAWN_MARK, EXPRESSIONS
from pipeline.reporting.markdown import MARK_NOTE, NOTHING, signed
from pipeline.reporting.text_table import text_table
from pipeline.scoring.records import Comparison, ModelScores, Points

Table = tuple[list[str], list[list[str]]]
"""The head and the rows."""

WIDTH = 80
NAME_WIDTH, F1_NAME_WIDTH = 25, 16
"""Width of a model's number and name, in characters: the space that the other columns leave."""


def lines(found: Comparison) -> Iterator[str]:
    """Yield the lines: pictures, scores, F1 by class, paired differences and notes."""
    yield from _pictures(found)
    for head, rows in (_scores(found), _f1_by_class(found), _differences(found)):
        if rows:
            yield ""
            yield from text_table(head, rows).splitlines()
    yield from _notes(found)


def _scores(found: Comparison) -> Table:
    rows = []
    for number, one in enumerate(found.models, start=1):
        scored = one.metrics
        mark = f" {DRAWN_MARK}" if found.is_drawn(one) else ""
        rows.append(
            [
                _name(number, one, NAME_WIDTH - len(mark)) + mark,
                _share(scored.accuracy, scored.interval),
                _share(scored.balanced_accuracy, scored.balanced_interval),
                f"{scored.macro_f1:.3f}",
                NOTHING if one.calibration_error is None else f"{100 * one.calibration_error:.1f}",
            ]
        )
    return ["", "accuracy %", "balanced %", "macro F1", "ECE %"], rows


def _f1_by_class(found: Comparison) -> Table:
    rows = [
        [_name(number, one, F1_NAME_WIDTH), *(NOTHING if f1 is None else f"{f1:.3f}" for f1 in one.metrics.f1)]
        for number, one in enumerate(found.models, start=1)
    ]
    return ["F1", *EXPRESSIONS], rows


def _differences(found: Comparison) -> Table:
    numbers = {one.name: number for number, one in enumerate(found.models, start=1)}
    rows = [
        [f"{numbers[each.first]} − {numbers[each.second]}", *_points(each.accuracy), *_points(each.balanced_accuracy)]
        for each in found.differences
    ]
    return ["difference, points", "accuracy", "p", "balanced", "p"], rows


def _pictures(found: Comparison) -> Iterator[str]:
    units = "" if found.unit == "picture" else f" of {found.units:,} {found.unit}s"
    yield f"{found.title}, {found.part}: {found.pictures:,} labelled pictures{units}"
    if found.pictures < found.labelled:
        yield f"{found.labelled - found.pictures:,} more are not predicted by all and not scored"
    resampled = {
        "subject": "of whole subjects",
        "sequence": "of whole sequences, because subjects are unknown",
        "picture": "of single pictures, because subjects are unknown: repeated subjects make them too narrow",
    }[found.unit]
    text = f"In brackets 95 % intervals, by resampling {resampled}"
    yield from _wrapped(text)


def _notes(found: Comparison) -> Iterator[str]:
    notes = [f"{number}: {note}" for number, one in enumerate(found.models, start=1) for note in one.notes]
    for number, one in enumerate(found.models, start=1):
        if one.unpredicted:
            notes.append(f"{number}: no prediction for {one.unpredicted:,} of {found.labelled:,} pictures")
    if len(found.differences) > 1:
        notes.append(f"p values are adjusted for {len(found.differences)} pairs (Holm)")
    if found.caveat:
        notes.append(found.caveat)
    if any(map(found.is_drawn, found.models)):
        notes.append(MARK_NOTE)
    if notes:
        yield ""
    for note in notes:
        yield from _wrapped(note)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(visible(text), WIDTH, subsequent_indent="  ", break_long_words=False)


def _name(number: int, one: ModelScores, width: int) -> str:
    """Return number and name of a model; a long name is shortened to its end."""
    return f"{number} {shortened(one.name, width - len(f'{number} ') - 1)}"


def _share(share: float, interval: tuple[float, float] | None) -> str:
    bounds = f" [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]" if interval else ""
    return f"{100 * share:.1f}{bounds}"


def _points(found: Points) -> list[str]:
    text = f"{signed(found.difference)} [{signed(found.low)}, {signed(found.high)}]"
    return [text, "<0.001" if found.p < 0.001 else f"{found.p:.3f}"]
