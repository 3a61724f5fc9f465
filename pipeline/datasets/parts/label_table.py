"""Tables of labels beside pictures: one row a picture, with the file's name and the set's code of the class."""

import csv
from collections.abc import Iterator
from pathlib import Path

from pipeline.datasets.parts.base import Dataset

NAMES = ("image", "img", "image_name", "image_path", "image_id", "filename", "file_name", "file", "path", "name", "id")
LABELS = ("label", "labels", "emotion", "expression", "class")
"""What the two columns are called, in lower case."""


def label_tables(folder: Path) -> list[Path]:
    """The tables in a folder that have both columns and at least one row, sorted by name."""
    files = sorted(path for path in folder.iterdir() if path.suffix.casefold() == ".csv" and path.is_file())
    return [path for path in files if not path.name.startswith(".") and _has_rows(path)]


def rows(dataset: Dataset, path: Path) -> Iterator[tuple[str, str, str]]:
    """Of each row where it stands, the file's name without folders, and the code, as texts.

    Raises:
        DatasetError: the table is no text, or a row lacks one of the two.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            columns = _columns(next(lines, []))
            for fields in lines:
                if not fields:
                    continue
                where = f"{path}, line {lines.line_num}"
                if columns is None or len(fields) <= max(columns):
                    raise dataset.fault(f"{where}: no name of a picture or no label; correct the line")
                name, code = (fields[place].strip() for place in columns)
                yield where, name.replace("\\", "/").rpartition("/")[2], code
    except (UnicodeDecodeError, csv.Error) as error:
        raise dataset.fault(f"{path}: not a table ({error}); unpack it again") from error


def _has_rows(path: Path) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        head, row = file.readline(), file.readline()
    return bool(row.strip()) and _columns(head.split(",")) is not None


def _columns(head: list[str]) -> tuple[int, int] | None:
    """The places of the name and of the label; None where one is missing."""
    words = [word.strip(' \t\r\n"').casefold() for word in head]
    name = next((words.index(word) for word in NAMES if word in words), None)
    label = next((words.index(word) for word in LABELS if word in words), None)
    return None if name is None or label is None else (name, label)
