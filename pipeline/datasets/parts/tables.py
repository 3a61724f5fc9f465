"""Sets as tables: tables that contain pictures (as FER2013 does), and tables of labels of picture files."""

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.classes import Codes, plain_code
from pipeline.datasets.parts.folders import files_by_name
from pipeline.datasets.parts.lists import delimiter_of, first_lines, is_blank, require_utf8, table_rows
from pipeline.errors import UnreadableImageError, short_repr
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE

FER2013_FILES = ("fer2013.csv", "icml_face_data.csv")
"""File names of FER2013's table, the preferred one first."""
FER2013_CODES: Codes = {"0": ANGER, "1": DISGUST, "2": FEAR, "3": HAPPINESS, "4": SADNESS, "5": SURPRISE, "6": NEUTRAL}
"""FER2013's codes of the classes. Tables of other sets use them too."""
SIDE = 48
PIXEL_COLUMNS = ("emotion", "pixels", "usage")
PIXEL_VALUES = {f"{value:0{digits}}".encode(): value for value in range(256) for digits in (1, 2, 3)}
"""Pixel values by their text: a lookup is much faster than a conversion."""
SPLITS = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}


def pixel_tables(folder: Path, names: Sequence[str] = ()) -> list[Path]:
    """Return the tables of pictures in a folder.

    Args:
        folder: the folder; its sub-folders are not searched.
        names: names of the tables in lower case, in order of preference. Empty: all tables that have the columns.
    """
    files = files_by_name(folder)
    if names:
        return [files[name] for name in names if name in files]
    tables = (path for name, path in files.items() if name.endswith(".csv"))
    return [path for path in tables if set(PIXEL_COLUMNS[:2]) <= set(_header_names(first_lines(path, 1)[0]))]


class PixelTable:
    """A table whose rows are pictures, with the columns emotion, pixels and Usage.

    It is read row by row. Only the position of each row is stored, so the pixels need no memory.

    Attributes:
        path: the table.
    """

    def __init__(self, dataset: Dataset, path: Path, codes: Codes) -> None:
        """Prepare reading; the file is not opened yet.

        Args:
            dataset: the set that the table belongs to.
            path: the table.
            codes: meaning of the values in the column emotion.
        """
        self.path = path
        self._dataset, self._codes = dataset, codes
        self._columns: dict[str, int] = {}
        self._delimiter = b","
        self._offsets = array("q")  # byte position of each data row

    def samples(self) -> Iterator[Sample]:
        """Yield one sample per data row whose code is a class.

        Raises:
            DatasetError: a column is missing, a row has another number of columns, an emotion code or Usage is unknown,
                a line is not UTF-8, or lines end with only CR. The message names file, line and value.
        """
        self._offsets = array("q")
        key = self._dataset.key(self.path)
        with self.path.open("rb") as file:
            lines = enumerate(file, start=1)
            number, header = next(
                ((n, line) for n, line in lines if not is_blank(_text(line).lstrip("\ufeff"))), (1, b"")
            )
            self._columns = self._header(number, header)
            offset = file.tell()
            for number, line in lines:
                if line.strip():
                    self._offsets.append(offset)
                    label, split = self._row(number, line)
                    if label is not None:
                        yield Sample(f"{key}:{len(self._offsets)}", label, split=split)
                offset += len(line)

    def read(self, sample: Sample) -> NDArray[np.uint8]:
        """Read the picture of a sample.

        Returns:
            uint8 48×48×3 RGB.

        Raises:
            UnreadableImageError: the row does not have 48 · 48 whole numbers from 0 to 255.
        """
        if not self._offsets:
            for _ in self.samples():
                pass
        row = int(sample.key.rpartition(":")[2])
        with self.path.open("rb") as file:
            file.seek(self._offsets[row - 1])
            pixels = self._fields(file.readline())[self._columns["pixels"]]
        return np.repeat(_parse(pixels, sample.key)[:, :, np.newaxis], 3, axis=2)

    def _header(self, number: int, line: bytes) -> dict[str, int]:
        where = f"{self.path}, line {number}"
        text = line.decode("utf-8", "surrogateescape")
        require_utf8(self._dataset.error, where, text)
        if "\r" in text.rstrip():
            raise self._dataset.error(f"{where}: the lines end with only CR; save the file with LF or CR LF")
        self._delimiter = delimiter_of(text).encode()
        names = _header_names(text.lstrip("\ufeff"))
        for column in PIXEL_COLUMNS:
            if column not in names:
                raise self._dataset.error(
                    f"{where}: no column {column!r}, found {short_repr(', '.join(names))}; unpack it again"
                )
        return {name: place for place, name in enumerate(names)}

    def _row(self, number: int, line: bytes) -> tuple[int | None, str]:
        fields, where = self._fields(line), f"{self.path}, line {number}"
        require_utf8(self._dataset.error, where, line.decode("utf-8", "surrogateescape"))
        if len(fields) != len(self._columns):
            raise self._dataset.error(
                f"{where}: {len(fields)} columns instead of {len(self._columns)}; unpack the file again"
            )
        emotion, usage = (_text(fields[self._columns[column]]) for column in ("emotion", "usage"))
        if emotion not in self._codes:
            emotion = plain_code(emotion)
        if emotion not in self._codes:
            codes = sorted(self._codes)
            raise self._dataset.error(
                f"{where}: emotion {short_repr(emotion)} is not one of {codes[0]}–{codes[-1]}; correct the line"
            )
        if usage not in SPLITS:
            raise self._dataset.error(
                f"{where}: Usage {short_repr(usage)} is not one of {', '.join(SPLITS)}; correct the line"
            )
        return self._codes[emotion], SPLITS[usage]

    def _fields(self, line: bytes) -> list[bytes]:
        return [field.strip(b' \t\r\n"') for field in line.split(self._delimiter)]


def _header_names(line: str) -> list[str]:
    return [field.strip(' \t\r\n"').casefold() for field in line.split(delimiter_of(line))]


def _text(field: bytes) -> str:
    return field.decode("utf-8", errors="replace")


def _parse(pixels: bytes, key: str) -> NDArray[np.uint8]:
    values = pixels.split()
    if len(values) != SIDE * SIDE:
        raise UnreadableImageError(f"{key}: {len(values)} pixels instead of {SIDE * SIDE}")
    try:
        samples = bytes(map(PIXEL_VALUES.__getitem__, values))
    except KeyError as error:
        wrong = _text(error.args[0][:20])
        raise UnreadableImageError(f"{key}: pixel {wrong!r} is not a whole number from 0 to 255") from None
    return np.frombuffer(samples, dtype=np.uint8).reshape(SIDE, SIDE)


class TableOrFiles(Dataset):
    """A set that exists both as picture files and as one table of pictures.

    Its ``scan`` must set ``_table`` to the table that it reads (None: files), and ``_listed`` to True.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._table: PixelTable | None = None
        self._listed = False

    def read(self, sample: Sample) -> NDArray[np.uint8]:
        """Read the picture of a sample.

        Returns:
            uint8 RGB: 48×48×3 from a table, H×W×3 from a file.

        Raises:
            UnreadableImageError: a row does not have 48 · 48 whole numbers from 0 to 255, or a file cannot be decoded.
        """
        table = self._opened()
        return super().read(sample) if table is None else table.read(sample)

    def file(self, sample: Sample) -> Path:
        """Return the table, or the picture's own file."""
        table = self._opened()
        return super().file(sample) if table is None else table.path

    def _opened(self) -> PixelTable | None:
        if not self._listed:
            self.samples()
        return self._table


NAME_COLUMNS = (
    "image",
    "img",
    "image_name",
    "image_path",
    "image_id",
    "filename",
    "file_name",
    "file",
    "path",
    "name",
    "id",
)
LABEL_COLUMNS = ("label", "labels", "emotion", "expression", "class")
"""Possible names of the two columns of a table of labels, in lower case."""


def label_tables(folder: Path) -> list[Path]:
    """Return the tables of labels in a folder, sorted by name: with both columns and at least one row."""
    tables = (path for name, path in files_by_name(folder).items() if name.endswith(".csv"))
    return [path for path in tables if _has_rows(path)]


def label_rows(dataset: Dataset, path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield the rows of a table of labels.

    Yields:
        The row's position (for errors), the file's name without folders, and the set's code of the class.

    Raises:
        DatasetError: the table is not UTF-8 text, a column occurs twice, or a row has no name or no code.
    """
    rows = table_rows(path, dataset.error)
    where, head = next(rows, ("", []))
    columns = _columns(head)
    if columns and (twice := [head[place] for place in columns if head.count(head[place]) > 1]):
        raise dataset.error(f"{where}: two columns {twice[0]!r}; remove the one that does not belong to the set")
    for where, fields in rows:
        if columns is None or len(fields) <= max(columns):
            raise dataset.error(f"{where}: no name of a picture or no label; correct the line")
        name, code = (fields[place] for place in columns)
        yield where, name.replace("\\", "/").rpartition("/")[2], plain_code(code)


def _has_rows(path: Path) -> bool:
    head, row = first_lines(path, 2)
    return bool(row.strip()) and _columns(_header_names(head)) is not None


def _columns(head: list[str]) -> tuple[int, int] | None:
    """Return the positions of name and label in a row; None if a column is missing."""
    words = [word.casefold() for word in head]
    name = next((words.index(word) for word in NAME_COLUMNS if word in words), None)
    label = next((words.index(word) for word in LABEL_COLUMNS if word in words), None)
    return None if name is None or label is None else (name, label)
