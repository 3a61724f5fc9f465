"""FERPlus (Barsoum et al., ICMI 2016): the pictures of FER2013 with the votes of ten annotators each."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.classes import plain_code
from pipeline.datasets.parts.finder import find, find_file
from pipeline.datasets.parts.lists import columns_of
from pipeline.datasets.parts.tables import FER2013_CODES, FER2013_FILES, SPLITS, PixelTable, pixel_tables
from pipeline.errors import short_repr
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE

VOTES = "fer2013new.csv"
COLUMNS = {
    "neutral": NEUTRAL,
    "happiness": HAPPINESS,
    "surprise": SURPRISE,
    "sadness": SADNESS,
    "anger": ANGER,
    "disgust": DISGUST,
    "fear": FEAR,
    "contempt": None,
    "unknown": None,
    "nf": None,
}
"""The columns of votes in the authors' order. Rows in which contempt, unknown or nf (no face) wins are skipped."""
FEWEST = 2
"""Minimum number of votes for a class to count."""
NUMBER = re.compile("[0-9]{1,9}")
"""A number of votes. The length is limited because Python refuses to read numbers of thousands of digits."""
LEAST_ALIKE, ALIKE_OF = 0.4, 100
"""With a smaller share of labels equal to FER2013's own, among at least this many, the order of rows is in doubt.

People agree with FER2013's labels on about two thirds of its pictures (Goodfellow et al., 2013). Rows in a random order
would agree on less than a fifth.
"""


class FerPlus(Dataset):
    """FERPlus: the rows of fer2013.csv to which most annotators gave one of the seven expressions.

    The rule is ``majority`` in the authors' code (src/ferplus.py of microsoft/FERPlus): a column's single vote does not
    count, and more than half of the remaining votes must agree. Rows of votes without a picture's name are skipped, as
    in src/generate_training_data.py there.

    Both tables have the same rows in the same order. They are refused if Usage shows that they do not.
    ``reading_notes`` expresses doubt if the labels seldom agree with FER2013's own.
    """

    name = "ferplus"
    title = "FERPlus"
    published: ClassVar = {
        "train": (2100, 119, 532, 7287, 3014, 3149, 8740),
        "val": (287, 24, 62, 865, 351, 415, 1182),
        "test": (273, 18, 83, 893, 384, 396, 1090),
    }
    layout = f"fer2013.csv (columns emotion, pixels, Usage) and {VOTES} (Usage, Image name, ten columns of votes)"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._table: PixelTable | None = None

    def scan(self) -> Iterator[Sample]:
        """Yield one sample per row with a majority. Its key is that of FER2013's row.

        Raises:
            DatasetError: a table is missing or malformed, the numbers of rows differ, or rows at the same position
                belong to different parts.
        """
        pictures, path = list(self._opened().samples()), find_file(self, VOTES)
        rows = list(columns_of(self, path, ("Usage", "Image name", *COLUMNS)))
        if len(rows) != len(pictures):
            raise self.error(f"{path}: {len(rows)} rows of votes for {len(pictures)} pictures; unpack both files again")
        read = alike = 0
        for sample, (where, (usage, name, *votes)) in zip(pictures, rows, strict=True):
            if usage not in SPLITS:
                raise self.error(
                    f"{where}: Usage {short_repr(usage)} is not one of {', '.join(SPLITS)}; correct the line"
                )
            if SPLITS[usage] != sample.split:
                raise self.error(
                    f"{where}: Usage {short_repr(usage)}, but {sample.key} is a picture of the part {sample.split}: "
                    "the rows of both tables are not in the same order; unpack both files again"
                )
            label = self._majority(where, votes)
            if name and label is not None:
                read, alike = read + 1, alike + (label == sample.label)
                yield replace(sample, label=label)
        if read >= ALIKE_OF and alike < LEAST_ALIKE * read:
            self.add_note(
                f"only {alike} of {read} labels are equal to FER2013's: the rows of both tables may not be in the "
                "same order; compare them with the authors'"
            )

    def read(self, sample: Sample) -> NDArray[np.uint8]:
        """Read the picture of a row.

        Returns:
            uint8 48×48×3 RGB.

        Raises:
            UnreadableImageError: the row does not have 48 · 48 whole numbers from 0 to 255.
        """
        return self._opened().read(sample)

    def file(self, sample: Sample) -> Path:
        """Return the table of pictures."""
        return self._opened().path

    def _opened(self) -> PixelTable:
        if self._table is None:
            home = find(
                self, lambda folder: bool(pixel_tables(folder, FER2013_FILES)), "fer2013.csv, whose rows have the votes"
            )
            self._table = PixelTable(self, pixel_tables(home, FER2013_FILES)[0], FER2013_CODES)
        return self._table

    def _majority(self, where: str, fields: list[str]) -> int | None:
        """Return the label with most votes; None without a majority, or if it is not one of the seven."""
        plain = [plain_code(field) for field in fields]
        if not all(map(NUMBER.fullmatch, plain)):
            raise self.error(f"{where}: not ten whole numbers of votes; correct the line")
        votes = [number if number >= FEWEST else 0 for number in map(int, plain)]
        most = max(votes)
        return list(COLUMNS.values())[votes.index(most)] if 2 * most > sum(votes) else None
