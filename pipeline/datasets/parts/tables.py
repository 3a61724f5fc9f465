"""Pictures as rows of a table with the columns emotion, pixels and Usage, as FER2013's and copies of other sets."""

import csv
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.classes import Codes
from pipeline.errors import UnreadableImageError
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE

FER2013_FILES = ("fer2013.csv", "icml_face_data.csv")
"""What FER2013's table is called, the preferred one first."""
FER2013_CODES: Codes = {"0": ANGER, "1": DISGUST, "2": FEAR, "3": HAPPINESS, "4": SADNESS, "5": SURPRISE, "6": NEUTRAL}
"""FER2013's, by which tables of other sets count, too."""
SIDE = 48
COLUMNS = ("emotion", "pixels", "usage")
NUMBERS = {f"{value:0{digits}}".encode(): value for value in range(256) for digits in (1, 2, 3)}
"""The pixel values as they are written: looking one up is much faster than reading it as a number."""
SPLITS = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}


def pixel_tables(folder: Path, names: Sequence[str] = ()) -> list[Path]:
    """The tables of pictures in a folder: of these ``names`` in any case, in their order, else by their columns."""
    files = sorted(path for path in folder.iterdir() if path.suffix.casefold() == ".csv" and path.is_file())
    if not names:
        return [path for path in files if not path.name.startswith(".") and set(COLUMNS[:2]) <= set(_names(path))]
    by_name = {path.name.casefold(): path for path in files}
    return [by_name[name] for name in names if name in by_name]


class PixelTable:
    """One table, read row by row: only the place of each row is kept, so memory does not grow with the pixels."""

    def __init__(self, dataset: Dataset, path: Path, codes: Codes) -> None:
        """``codes``: the values of column emotion."""
        self.path = path
        self._dataset, self._codes = dataset, codes
        self._columns: dict[str, int] = {}
        self._offsets = array("q")  # byte at which each data row begins

    def samples(self) -> Iterator[Sample]:
        """One sample per data row whose code is a class.

        Raises:
            DatasetError: a column is missing, a row has another number of columns, an unknown emotion code or an
                unknown Usage. File, line and value are named.
        """
        self._offsets = array("q")
        with self.path.open("rb") as file:
            header = file.readline()
            self._columns = self._header(header)
            offset = len(header)
            for number, line in enumerate(file, start=2):
                if line.strip():
                    self._offsets.append(offset)
                    label, split = self._row(number, line)
                    if label is not None:
                        yield Sample(f"{self._dataset.key(self.path)}:{len(self._offsets)}", label, split=split)
                offset += len(line)

    def read(self, sample: Sample) -> NDArray[np.uint8]:
        """The picture of a sample: uint8 48×48×3.

        Raises:
            UnreadableImageError: the row has not 48 · 48 whole numbers from 0 to 255.
        """
        if not self._offsets:
            for _ in self.samples():
                pass
        row = int(sample.key.rpartition(":")[2])
        with self.path.open("rb") as file:
            file.seek(self._offsets[row - 1])
            pixels = _fields(file.readline())[self._columns["pixels"]]
        return np.repeat(_parse(pixels, sample.key)[:, :, np.newaxis], 3, axis=2)

    def _header(self, line: bytes) -> dict[str, int]:
        names = _header_names(line)
        for column in COLUMNS:
            if column not in names:
                raise self._dataset.error(
                    f"{self.path}, line 1: no column {column!r}, found {', '.join(names)!r}; unpack it again"
                )
        return {name: place for place, name in enumerate(names)}

    def _row(self, number: int, line: bytes) -> tuple[int | None, str]:
        fields, where = _fields(line), f"{self.path}, line {number}"
        if len(fields) != len(self._columns):
            raise self._dataset.error(
                f"{where}: {len(fields)} columns instead of {len(self._columns)}; unpack the file again"
            )
        emotion, usage = (_text(fields[self._columns[column]]) for column in ("emotion", "usage"))
        if emotion not in self._codes:
            codes = sorted(self._codes)
            raise self._dataset.error(
                f"{where}: emotion {emotion!r} is not one of {codes[0]}–{codes[-1]}; correct the line"
            )
        if usage not in SPLITS:
            raise self._dataset.error(f"{where}: Usage {usage!r} is none of {', '.join(SPLITS)}; correct the line")
        return self._codes[emotion], SPLITS[usage]


def _names(path: Path) -> list[str]:
    with path.open("rb") as file:
        return _header_names(file.readline())


def _header_names(line: bytes) -> list[str]:
    return [_text(field).casefold() for field in _fields(line.removeprefix(b"\xef\xbb\xbf"))]


def _fields(line: bytes) -> list[bytes]:
    return [field.strip(b' \t\r\n"') for field in line.split(b",")]


def _text(field: bytes) -> str:
    return field.decode("utf-8", errors="replace")


def _parse(pixels: bytes, key: str) -> NDArray[np.uint8]:
    values = pixels.split()
    if len(values) != SIDE * SIDE:
        raise UnreadableImageError(f"{key}: {len(values)} pixels instead of {SIDE * SIDE}")
    try:
        samples = bytes(map(NUMBERS.__getitem__, values))
    except KeyError as error:
        wrong = _text(error.args[0][:20])
        raise UnreadableImageError(f"{key}: pixel {wrong!r} is no whole number from 0 to 255") from None
    return np.frombuffer(samples, dtype=np.uint8).reshape(SIDE, SIDE)


class TableOrFiles(Dataset):
    """A set whose ``scan`` notes in ``_table`` which table it reads, None for files, and in ``_listed`` that it ran."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._table: PixelTable | None = None
        self._listed = False

    def read(self, sample: Sample) -> NDArray[np.uint8]:
        """The picture of a sample: uint8 48×48×3 from a table, else H×W×3 RGB of the file's size.

        Raises:
            UnreadableImageError: a row has not 48 · 48 whole numbers from 0 to 255, or a file cannot be decoded.
        """
        table = self._opened()
        return super().read(sample) if table is None else table.read(sample)

    def file(self, sample: Sample) -> Path:
        """The table, or the picture's own file."""
        table = self._opened()
        return super().file(sample) if table is None else table.path

    def _opened(self) -> PixelTable | None:
        if not self._listed:
            self.samples()
        return self._table


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
                    raise dataset.error(f"{where}: no name of a picture or no label; correct the line")
                name, code = (fields[place].strip() for place in columns)
                yield where, name.replace("\\", "/").rpartition("/")[2], code
    except (UnicodeDecodeError, csv.Error) as error:
        raise dataset.error(f"{path}: not a table ({error}); unpack it again") from error


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
