"""Predictions as rows: CSV, JSON lines, or a table for people."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import ParamsError
from pipeline.labels import EXPRESSIONS
from pipeline.prediction.inputs import Frame
from pipeline.prediction.predictor import Prediction
from pipeline.registry import unknown

Format = Literal["csv", "jsonl", "table"]

COLUMNS = ("source", "frame", "face", "x1", "y1", "x2", "y2", "score", "expression", "confidence")
"""Then p_NAME for each expression. face: its number in a picture from 1, in a video that of its track."""

SOURCE_WIDTH = 32
"""Characters for the name of the source in the table for people."""


def format_of(name: str | None, out: Path | None) -> Format:
    """The format that is asked for; else that by which ``out`` is named, CSV for other names; else the table.

    Raises:
        ParamsError: there is none of this name.
    """
    if name is None:
        by_suffix: Format = "jsonl" if out and out.suffix in (".jsonl", ".ndjson") else "csv"
        return "table" if out is None else by_suffix
    if name not in FORMATS:
        raise ParamsError(f"--format: unknown format {unknown(name, FORMATS)}")
    return name


def header(kind: Format) -> str:
    """The lines before the rows."""
    if kind == "csv":
        return _line([*COLUMNS, *(f"p_{name}" for name in EXPRESSIONS)])
    if kind == "table":
        names = " ".join(f"{name:>9}" for name in EXPRESSIONS)
        return f"{'source':<{SOURCE_WIDTH}} {'frame':>6} {'face':>4} {'box':>23} {'score':>5} {'':>14} {names}\n"
    return ""


def row(kind: Format, frame: Frame, number: int, found: Prediction) -> str:
    """One face, with the end of its line. Boxes to a tenth of a pixel, probabilities to four digits."""
    return FORMATS[kind](frame, number, found)


def as_json(found: Prediction) -> dict[str, Any]:
    """One face as JSON has it: ``box`` to a tenth of a pixel, ``score`` and ``probabilities`` to four digits."""
    return {
        "box": [round(edge, 1) for edge in found.face.box],
        "score": round(found.face.score or 0.0, 4),
        "expression": found.expression,
        "confidence": round(found.confidence, 4),
        "probabilities": {
            name: round(float(value), 4) for name, value in zip(EXPRESSIONS, found.probabilities, strict=True)
        },
    }


def _csv(frame: Frame, number: int, found: Prediction) -> str:
    box = [f"{edge:.1f}" for edge in found.face.box]
    values = [frame.source.name, _frame(frame), number, *box, f"{found.face.score:.4f}", found.expression]
    return _line([*values, f"{found.confidence:.4f}", *(f"{value:.4f}" for value in found.probabilities)])


def _jsonl(frame: Frame, number: int, found: Prediction) -> str:
    value = {
        "source": frame.source.name,
        "frame": frame.number if frame.source.moves else None,
        "face": number,
        **as_json(found),
    }
    return json.dumps(value, ensure_ascii=False) + "\n"


def _table(frame: Frame, number: int, found: Prediction) -> str:
    name = frame.source.name
    name = name if len(name) <= SOURCE_WIDTH else f"…{name[1 - SOURCE_WIDTH :]}"
    box = " ".join(f"{edge:5.0f}" for edge in found.face.box)
    label = f"{found.expression} {found.confidence:.0%}"
    shares = " ".join(f"{value:>9.1%}" for value in found.probabilities)
    place = f"{name:<{SOURCE_WIDTH}} {_frame(frame):>6} {number:>4} {box:>23}"
    return f"{place} {found.face.score:5.2f} {label:>14} {shares}\n"


FORMATS: dict[Format, Callable[[Frame, int, Prediction], str]] = {"csv": _csv, "jsonl": _jsonl, "table": _table}


def _frame(frame: Frame) -> str:
    return str(frame.number) if frame.source.moves else ""


def _line(values: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()
