"""AffectNet (Mollahosseini, Hasani and Mahoor, TAC 2019): faces from picture searches, annotated by people."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.finder import find
from pipeline.datasets.parts.folders import pictures_in, subfolders
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE

LABELS = {0: NEUTRAL, 1: HAPPINESS, 2: SADNESS, 3: SURPRISE, 4: FEAR, 5: DISGUST, 6: ANGER}
LEFT_OUT = range(7, 11)
"""Contempt, none, uncertain, no face."""
TABLES = {"training.csv": "train", "validation.csv": "val"}
PARTS = {"train_set": "train", "val_set": "val"}


class AffectNet(Dataset):
    """AffectNet: 283,901 train and 3,500 val pictures of the seven expressions.

    It is read as first released (tables and Manually_Annotated_Images) or in its release of eight classes (train_set,
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
        """One sample per picture of the seven expressions; contempt and what is no expression are left out.

        Raises:
            DatasetError: neither layout is there, a table or annotation is damaged, or a code is unknown.
        """
        tables = [path for path in self.root.rglob("*.csv") if path.name in TABLES]
        if tables:
            for table in sorted(tables):
                yield from self._listed(table)
            return
        home = find(self, lambda folder: any((folder / part / "images").is_dir() for part in PARTS), "train_set/images")
        for part in subfolders(home):
            if part.name in PARTS:
                yield from self._annotated(part)

    def _listed(self, table: Path) -> Iterator[Sample]:
        pictures = find(self, lambda folder: folder.name == "Manually_Annotated_Images", "Manually_Annotated_Images")
        with table.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                where = f"{table}, line {number}"
                name, code = row.get("subDirectory_filePath"), row.get("expression")
                if not name or code is None:
                    raise self.error(f"{where}: no subDirectory_filePath or expression; unpack the table again")
                label = self._label(code, where)
                if label is not None:
                    yield Sample(self.key(pictures / name), label, split=TABLES[table.name])

    def _annotated(self, part: Path) -> Iterator[Sample]:
        for path in pictures_in(part / "images"):
            annotation = part / "annotations" / f"{path.stem}_exp.npy"
            try:
                code = str(np.load(annotation))
            except (OSError, ValueError) as error:
                raise self.error(f"{annotation}: cannot be read ({error}); unpack the annotations again") from None
            label = self._label(code, str(annotation))
            if label is not None:
                yield Sample(self.key(path), label, split=PARTS[part.name])

    def _label(self, code: str, where: str) -> int | None:
        try:
            number = int(code)
        except ValueError:
            raise self.error(f"{where}: expression {code!r} is no number; correct it") from None
        if number not in LABELS and number not in LEFT_OUT:
            raise self.error(f"{where}: expression {number} is not one of 0–10; correct it")
        return LABELS.get(number)
