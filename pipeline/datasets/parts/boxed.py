"""Sets that list faces by their boxes in pictures; one picture may show several of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.pictures import decode

MARGIN = 0.5
"""What is added to a face's box on each side, as a share of its size: the detector needs to see a whole head."""


@dataclass(frozen=True)
class Box:
    """A face's box in its picture, in pixels.

    Attributes:
        file: the picture.
        left: first column.
        top: first row.
        right: last column.
        bottom: last row.
    """

    file: Path
    left: int
    top: int
    right: int
    bottom: int


class BoxedFaces(Dataset):
    """A set whose ``scan`` puts the box of every sample into ``boxes``.

    Attributes:
        boxes: by the key of the sample.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.boxes: dict[str, Box] = {}

    def read(self, sample: Sample) -> NDArray[np.uint8]:
        """The face with its surroundings (``MARGIN``).

        Returns:
            uint8 H×W×3 RGB; the whole picture where the box lies outside of it.

        Raises:
            UnreadableImageError: the picture cannot be decoded.
        """
        box = self._box(sample)
        picture = decode(box.file, sample.key)
        wide, high = MARGIN * (box.right - box.left), MARGIN * (box.bottom - box.top)
        left, top = max(0, int(box.left - wide)), max(0, int(box.top - high))
        bottom, right = max(0, int(box.bottom + high) + 1), max(0, int(box.right + wide) + 1)
        part = picture[top:bottom, left:right]
        return part if part.size else picture

    def file(self, sample: Sample) -> Path:
        """The picture that a face is in."""
        return self._box(sample).file

    def _box(self, sample: Sample) -> Box:
        if not self.boxes:
            self.samples()
        return self.boxes[sample.key]
