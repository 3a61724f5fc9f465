"""FER2013 (Goodfellow et al., 2013): 48×48 grey pictures from the web, in one CSV file or in folders."""

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.class_folders import class_samples, holds_parts, picture_folders
from pipeline.datasets.parts.finder import folders_below
from pipeline.datasets.parts.spellings import part_of
from pipeline.errors import UnreadableImageError
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE

SIDE = 48
CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")
COLUMNS = ("emotion", "pixels", "usage")
LABELS = {"0": ANGER, "1": DISGUST, "2": FEAR, "3": HAPPINESS, "4": SADNESS, "5": SURPRISE, "6": NEUTRAL}
NUMBERS = {f"{value:0{digits}}".encode(): value for value in range(256) for digits in (1, 2, 3)}
"""The pixel values as they are written: looking one up is much faster than reading it as a number."""
SPLITS = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}


class Fer2013(Dataset):
    """FER2013: 28,709 train, 3,589 val (PublicTest) and 3,589 test (PrivateTest) pictures.

    The CSV file is read row by row: only the place of each row is kept, so memory does not grow with the pixels. In the
    folder layout ``validation`` is PublicTest; where there is no ``test`` folder the official split tests on it.
    """

    name = "fer2013"
    title = "FER2013"
    published: ClassVar = {"train": 28_709, "val": 3_589, "test": 3_589}
    layout = (
        "fer2013.csv (columns emotion, pixels, Usage), or icml_face_data.csv (the same, ordered otherwise), "
        "or folders train/angry/*.jpg, validation/, test/"
    )

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._home = next((folder for folder in folders_below(root) if _holds_fer2013(folder)), root)
        self._csv = next((self._home / name for name in CSV_NAMES if (self._home / name).is_file()), None)
        self._columns: dict[str, int] = {}
        self._offsets = array("q")  # byte at which each data row begins

    def scan(self) -> Iterator[Sample]:
        """One sample per data row, or per picture of the folders.

        Raises:
            DatasetError: a column is missing, a row has another number of columns, an unknown emotion code or an
                unknown Usage; in folders: one is no part or no class. File, line and value are named.
        """
        return self._scan_folders() if self._csv is None else self._scan_csv(self._csv)

    def read(self, sample: Sample) -> NDArray[np.uint8]:
        """The picture of a sample: uint8 48×48×3 (in folders: of the file's size).

        Raises:
            UnreadableImageError: a CSV row has not 48 · 48 whole numbers from 0 to 255, or a file cannot be decoded.
        """
        if self._csv is None:
            return super().read(sample)
        if not self._offsets:
            self.samples()
        row = int(sample.key.rpartition(":")[2])
        with self._csv.open("rb") as file:
            file.seek(self._offsets[row - 1])
            pixels = _fields(file.readline())[self._columns["pixels"]]
        return np.repeat(_parse(pixels, sample.key)[:, :, np.newaxis], 3, axis=2)

    def file(self, sample: Sample) -> Path:
        """The table, or the picture in the folders."""
        return super().file(sample) if self._csv is None else self._csv

    def _scan_csv(self, path: Path) -> Iterator[Sample]:
        self._offsets = array("q")
        with path.open("rb") as file:
            header = file.readline()
            self._columns = self._header(path, header)
            offset = len(header)
            for number, line in enumerate(file, start=2):
                if line.strip():
                    self._offsets.append(offset)
                    yield self._row(path, number, line)
                offset += len(line)

    def _header(self, path: Path, line: bytes) -> dict[str, int]:
        names = [_text(field).casefold() for field in _fields(line.removeprefix(b"\xef\xbb\xbf"))]
        for column in COLUMNS:
            if column not in names:
                raise self.fault(f"{path}, line 1: no column {column!r}, found {', '.join(names)!r}; unpack it again")
        return {name: place for place, name in enumerate(names)}

    def _row(self, path: Path, number: int, line: bytes) -> Sample:
        fields = _fields(line)
        if len(fields) != len(self._columns):
            raise self.fault(
                f"{path}, line {number}: {len(fields)} columns instead of {len(self._columns)}; unpack the file again"
            )
        emotion, usage = (_text(fields[self._columns[column]]) for column in ("emotion", "usage"))
        if emotion not in LABELS:
            raise self.fault(f"{path}, line {number}: emotion {emotion!r} is not one of 0–6; correct the line")
        if usage not in SPLITS:
            raise self.fault(f"{path}, line {number}: Usage {usage!r} is none of {', '.join(SPLITS)}; correct the line")
        return Sample(f"{self.key(path)}:{len(self._offsets)}", LABELS[emotion], split=SPLITS[usage])

    def _scan_folders(self) -> Iterator[Sample]:
        for folder in picture_folders(self._home):
            part = part_of(folder.name)
            if part is None:
                raise self.fault(
                    f"{folder}: {folder.name!r} is none of train, validation and test; move the folder away"
                )
            yield from class_samples(self, folder, part)


def _holds_fer2013(folder: Path) -> bool:
    """Whether a table of the set, or a part of it in class folders, is in a folder."""
    return any((folder / name).is_file() for name in CSV_NAMES) or holds_parts(folder)


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
