"""AffectNet (Mollahosseini, Hasani and Mahoor, TAC 2019): faces from image searches, annotated by people."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.classes import plain_code
from pipeline.datasets.parts.finder import find
from pipeline.datasets.parts.folders import files_below, files_by_name, pictures_in, subfolders
from pipeline.datasets.parts.lists import columns_of
from pipeline.errors import short_repr
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE

LABELS = {"0": NEUTRAL, "1": HAPPINESS, "2": SADNESS, "3": SURPRISE, "4": FEAR, "5": DISGUST, "6": ANGER}
LEFT_OUT = ("7", "8", "9", "10")
"""Contempt, none, uncertain, no face."""
TABLES = {"training.csv": "train", "validation.csv": "val"}
PARTS = {"train_set": "train", "val_set": "val"}


class AffectNet(Dataset):
    """AffectNet: 283,901 train and 3,500 val pictures of the seven expressions.

    It is read as first released (tables and Manually_Annotated_Images), or in the release of eight classes (train_set,
    val_set).
    """

    name = "affectnet"
    title = "AffectNet"
    published: ClassVar = {"train": 283_901, "val": 3_500}
    layout = (
        "training.csv and validation.csv (columns subDirectory_filePath, expression) with Manually_Annotated_Images/; "
        "or train_set/images/0.jpg with train_set/annotations/0_exp.npy, likewise val_set"
    )

    def scan(self) -> Iterator[Sample]:
        """Yield one sample per picture of the seven expressions; contempt, none, uncertain and no face are skipped.

        Raises:
            DatasetError: neither layout is there, a table or annotation is damaged, or a code is unknown.
        """
        tables = list(files_below(self.root, lambda path: path.name.casefold() in TABLES))
        if tables:
            for table in tables:
                yield from self._listed(table)
            return
        home = find(self, lambda folder: any((folder / part / "images").is_dir() for part in PARTS), "train_set/images")
        for part in subfolders(home):
            if part.name in PARTS:
                yield from self._annotated(part)

    def _listed(self, table: Path) -> Iterator[Sample]:
        pictures = find(self, lambda folder: folder.name == "Manually_Annotated_Images", "Manually_Annotated_Images")
        for where, (name, code) in columns_of(self, table, ("subDirectory_filePath", "expression")):
            if not name:
                raise self.error(f"{where}: no name of a picture; correct the line")
            label = self._label(code, where)
            if label is not None:
                yield Sample(self.key(pictures / name), label, split=TABLES[table.name.casefold()])

    def _annotated(self, part: Path) -> Iterator[Sample]:
        annotations = files_by_name(part / "annotations")
        for path in pictures_in(part / "images"):
            name = f"{path.stem}_exp.npy"
            annotation = annotations.get(name.casefold(), part / "annotations" / name)
            label = self._label(self._annotation(annotation), str(annotation))
            if label is not None:
                yield Sample(self.key(path), label, split=PARTS[part.name])

    def _annotation(self, path: Path) -> str:
        """Read the single value of a .npy file, of any type and number of dimensions."""
        try:
            with path.open("rb") as file, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # NumPy's warnings about files of Python 2 do not name the file
                array = np.lib.format.read_array(file, allow_pickle=False)
        except OSError as error:
            raise self.error(f"{path}: cannot be read ({error.strerror}); unpack the annotations again") from None
        except Exception as error:
            # On damaged files NumPy raises many built-in exceptions (ValueError, EOFError, MemoryError, TypeError, …).
            # Only NumPy runs above, so each exception means that this is not a .npy file.
            reason = " ".join(str(error).split()) or type(error).__name__
            raise self.error(f"{path}: not a NumPy array ({reason}); unpack the annotations again") from None
        if array.size != 1:
            raise self.error(
                f"{path}: {array.size} values (shape {array.shape}) instead of one; unpack the annotations again"
            )
        value = array.item()
        return value.decode("ascii", errors="replace") if isinstance(value, bytes) else str(value)

    def _label(self, code: str, where: str) -> int | None:
        number = plain_code(code)
        if number not in LABELS and number not in LEFT_OUT:
            raise self.error(f"{where}: expression {short_repr(code)} is not one of 0–10; correct it")
        return LABELS.get(number)
