"""FER2013 (Goodfellow et al., 2013): 48×48 grey pictures from the web, in one CSV file or in folders."""

from collections.abc import Iterator
from typing import ClassVar

from pipeline.datasets.parts.base import Sample
from pipeline.datasets.parts.classes import class_samples, has_numbered_parts, has_part_folders, part_of, read_codes
from pipeline.datasets.parts.finder import choose, find_all, matching_folders, note_choice
from pipeline.datasets.parts.folders import picture_folders
from pipeline.datasets.parts.tables import FER2013_CODES, FER2013_FILES, PixelTable, TableOrFiles, pixel_tables

WHAT = "fer2013.csv, icml_face_data.csv or a folder train with class folders"


class Fer2013(TableOrFiles):
    """FER2013: 28,709 train, 3,589 val (PublicTest) and 3,589 test (PrivateTest) pictures.

    A table is preferred to folders. In folders, ``validation`` is PublicTest; without a ``test`` folder the official
    split tests on it. Folders named by numbers are not read by the table's codes, because some copies number their
    classes in alphabetical order.
    """

    name = "fer2013"
    title = "FER2013"
    published: ClassVar = {
        "train": (3995, 436, 4097, 7215, 4830, 3171, 4965),
        "val": (467, 56, 496, 895, 653, 415, 607),
        "test": (491, 55, 528, 879, 594, 416, 626),
    }
    layout = (
        "fer2013.csv (columns emotion, pixels, Usage), or icml_face_data.csv (the same in another order), "
        "or folders train/angry/*.jpg, validation/, test/"
    )

    def scan(self) -> Iterator[Sample]:
        """Yield one sample per data row, or per picture in folders.

        Raises:
            DatasetError: neither is there, the table is malformed, or a folder is not a part or not a class. The
                message names file, line and value.
        """
        self._listed = True
        self._table = self._find_table()
        return self._scan_folders() if self._table is None else self._table.samples()

    def _find_table(self) -> PixelTable | None:
        folders = matching_folders(self, lambda folder: bool(pixel_tables(folder, FER2013_FILES)))
        if not folders:
            return None
        home = choose(self, folders, "a table fer2013.csv")
        path, *others = pixel_tables(home, FER2013_FILES)
        note_choice(self, path, [*others, *matching_folders(self, has_part_folders)])
        return PixelTable(self, path, FER2013_CODES)

    def _scan_folders(self) -> Iterator[Sample]:
        codes = read_codes(self)
        found = find_all(self, lambda folder: has_part_folders(folder, codes) or has_numbered_parts(folder), WHAT)
        for folder in picture_folders(choose(self, found, "a folder train with class folders")):
            part = part_of(folder.name)
            if part is None:
                raise self.error(
                    f"{folder}: {folder.name!r} is not train, validation or test; move it out of {self.root}"
                )
            yield from class_samples(self, folder, part, codes=codes)
