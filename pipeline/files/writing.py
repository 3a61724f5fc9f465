"""Writing text and tables, atomically; what is read again is read by ``pipeline.files.reading``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.files.atomic import atomic_path

if TYPE_CHECKING:
    import pandas as pd


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically. NaN and infinity are refused: JSON has no such numbers."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table without its index, atomically; floats keep six significant digits."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
