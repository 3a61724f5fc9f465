"""FER2013 (Goodfellow et al., 2013): 48×48 grey pictures from the web, in one CSV file or in folders."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.class_folders import class_samples, holds_numbered_parts, holds_parts, picture_folders
from pipeline.datasets.parts.codes import given_codes
from pipeline.datasets.parts.finder import chosen, find_all, places, said_instead_of
from pipeline.datasets.parts.pixel_table import CODES, FILES, PixelTable, tables_in
from pipeline.datasets.parts.spellings import part_of

WHAT = "fer2013.csv, icml_face_data.csv or a folder train with class folders"


class Fer2013(Dataset):
    """FER2013: 28,709 train, 3,589 val (PublicTest) and 3,589 test (PrivateTest) pictures.

    A table is read before folders. In the folder layout ``validation`` is PublicTest; where there is no ``test`` folder
    the official split tests on it. Folders that are numbers are not taken for the table's codes: copies count their
    classes by the alphabet, too.
    """

    name = "fer2013"
    title = "FER2013"
    published: ClassVar = {
        "train": (3995, 436, 4097, 7215, 4830, 3171, 4965),
        "val": (467, 56, 496, 895, 653, 415, 607),
        "test": (491, 55, 528, 879, 594, 416, 626),
    }
    layout = (
        "fer2013.csv (columns emotion, pixels, Usage), or icml_face_data.csv (the same, ordered otherwise), "
        "or folders train/angry/*.jpg, validation/, test/"
    )

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._table: PixelTable | None = None
        self._listed = False

    def scan(self) -> Iterator[Sample]:
        """One sample per data row, or per picture of the folders.

        Raises:
            DatasetError: there is neither, the table is malformed, or in folders one is no part or no class. File, line
                and value are named.
        """
        self._listed = True
        self._table = self._find_table()
        return self._scan_folders() if self._table is None else self._table.samples()

    def read(self, sample: Sample) -> NDArray[np.uint8]:
        """The picture of a sample: uint8 48×48×3 (in folders: of the file's size).

        Raises:
            UnreadableImageError: a CSV row has not 48 · 48 whole numbers from 0 to 255, or a file cannot be decoded.
        """
        table = self.table()
        return super().read(sample) if table is None else table.read(sample)

    def file(self, sample: Sample) -> Path:
        """The table, or the picture in the folders."""
        table = self.table()
        return super().file(sample) if table is None else table.path

    def table(self) -> PixelTable | None:
        """The table that the rows are in; None for pictures in folders."""
        if not self._listed:
            self._table, self._listed = self._find_table(), True
        return self._table

    def _find_table(self) -> PixelTable | None:
        folders = places(self, lambda folder: bool(tables_in(folder, FILES)))
        if not folders:
            return None
        home = chosen(self, folders, "a table fer2013.csv")
        path, *others = tables_in(home, FILES)
        said_instead_of(self, path, [*others, *places(self, holds_parts)])
        return PixelTable(self, path, CODES)

    def _scan_folders(self) -> Iterator[Sample]:
        codes = given_codes(self)
        found = find_all(self, lambda folder: holds_parts(folder, codes) or holds_numbered_parts(folder), WHAT)
        for folder in picture_folders(chosen(self, found, "a folder train with class folders")):
            part = part_of(folder.name)
            if part is None:
                raise self.fault(
                    f"{folder}: {folder.name!r} is none of train, validation and test; move it out of {self.root}"
                )
            yield from class_samples(self, folder, part, codes=codes)
