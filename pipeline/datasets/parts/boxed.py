"""Faces that a set's list names by their boxes in pictures, several of which may show the same picture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.pictures import decode

AROUND = 0.5
"""Widening of a face's box on each side, as a share of it: the detector needs to see a whole head."""


@dataclass(frozen=True)
class Box:
    """A face's box in its picture, in pixels."""

    file: Path
    left: int
    top: int
    right: int
    bottom: int


class BoxedFaces(Dataset):
    """A set whose ``scan`` puts the box of every sample into ``boxes``, by its key."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.boxes: dict[str, Box] = {}

    def read(self, sample: Sample) -> NDArray[np.uint8]:
        """The face with what is around it: uint8 H×W×3 RGB.

        Raises:
            UnreadableImageError: the picture cannot be decoded.
        """
        box = self._box(sample)
        picture = decode(box.file, sample.key)
        wide, high = AROUND * (box.right - box.left), AROUND * (box.bottom - box.top)
        left, top = max(0, int(box.left - wide)), max(0, int(box.top - high))
        bottom, right = max(0, int(box.bottom + high) + 1), max(0, int(box.right + wide) + 1)
        part = picture[top:bottom, left:right]
        return part if part.size else picture  # a box outside of its picture says nothing

    def file(self, sample: Sample) -> Path:
        """The picture that a face is in."""
        return self._box(sample).file

    def _box(self, sample: Sample) -> Box:
        if not self.boxes:
            self.samples()
        return self.boxes[sample.key]
