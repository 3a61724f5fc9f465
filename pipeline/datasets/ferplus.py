"""FERPlus (Barsoum et al., ICMI 2016): the pictures of FER2013 with the votes of ten annotators each."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.finder import find
from pipeline.datasets.parts.tables import FER2013_CODES, FER2013_FILES, PixelTable, pixel_tables
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
"""Columns of votes; a row that contempt, unknown or nf (no face) wins is left out."""


class FerPlus(Dataset):
    """FERPlus: the rows of fer2013.csv that more than half of the annotators call one of the seven expressions.

    This majority rule is that of the authors' own code.
    """

    name = "ferplus"
    title = "FERPlus"
    published: ClassVar = {}
    layout = f"fer2013.csv (columns emotion, pixels, Usage) and {VOTES} (Usage, Image name, ten columns of votes)"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._table: PixelTable | None = None

    def scan(self) -> Iterator[Sample]:
        """One sample per row with a majority; its key is that of FER2013's row.

        Raises:
            DatasetError: a table is missing or malformed, or their numbers of rows differ.
        """
        table = self._opened()
        path = find(self, lambda folder: (folder / VOTES).is_file(), VOTES) / VOTES
        votes = list(self._majorities(path))
        count = 0
        for sample in table.samples():
            count += 1
            if count <= len(votes) and (label := votes[count - 1]) is not None:
                yield replace(sample, label=label)
        if count != len(votes):
            raise self.error(f"{path}: {len(votes)} rows of votes for {count} pictures; unpack both files again")

    def read(self, sample: Sample) -> NDArray[np.uint8]:
        """The picture of a row.

        Returns:
            uint8 48×48×3 RGB.

        Raises:
            UnreadableImageError: the row has not 48 · 48 whole numbers from 0 to 255.
        """
        return self._opened().read(sample)

    def file(self, sample: Sample) -> Path:
        """The table."""
        return self._opened().path

    def _opened(self) -> PixelTable:
        if self._table is None:
            home = find(
                self, lambda folder: bool(pixel_tables(folder, FER2013_FILES)), "fer2013.csv, whose rows have the votes"
            )
            self._table = PixelTable(self, pixel_tables(home, FER2013_FILES)[0], FER2013_CODES)
        return self._table

    def _majorities(self, path: Path) -> Iterator[int | None]:
        with path.open(encoding="utf-8-sig") as lines:
            head = [name.strip().casefold() for name in next(lines, "").split(",")]
            missing = [name for name in COLUMNS if name not in head]
            if missing:
                raise self.error(f"{path}, line 1: no column {missing[0]!r}; unpack it again")
            columns = [head.index(name) for name in COLUMNS]
            for number, line in enumerate(lines, start=2):
                if line.strip():
                    yield self._majority(f"{path}, line {number}", line.split(","), columns)

    def _majority(self, where: str, fields: list[str], columns: list[int]) -> int | None:
        try:
            votes = [int(fields[column]) for column in columns]
        except (ValueError, IndexError):
            raise self.error(f"{where}: not ten whole numbers of votes; correct the line") from None
        most = max(votes)
        return list(COLUMNS.values())[votes.index(most)] if 2 * most > sum(votes) else None
