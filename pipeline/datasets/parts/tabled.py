"""Sets that circulate both as files of pictures and as one table of them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.pixel_table import PixelTable


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
