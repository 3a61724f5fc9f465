"""Sets that list faces by their boxes in pictures; one picture may show several of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.lists import number_of
from pipeline.datasets.parts.pictures import decode
from pipeline.errors import UnreadableImageError, short_key

LEAST_INSIDE = 0.5
"""The share of a face's box that must lie in its picture: of boxes that reach beyond its edge, as of a face that is cut
off there, the part inside is read."""

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


def whole_pixels(numbers: Sequence[str]) -> list[int]:
    """The pixels that numbers of a list say, without what is behind their decimal point.

    Raises:
        ValueError: one is no number, or no finite one.
    """
    values = [number_of(text) for text in numbers]
    if not all(map(math.isfinite, values)):
        raise ValueError("no finite number")
    return list(map(int, values))


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
            uint8 H×W×3 RGB.

        Raises:
            UnreadableImageError: the picture cannot be decoded, or less than ``LEAST_INSIDE`` of the box lies in it.
        """
        box = self._box(sample)
        picture = decode(box.file, sample.key)
        if fault := _fault(box, height=len(picture), width=picture.shape[1]):
            sides = f"left {box.left}, top {box.top}, right {box.right}, bottom {box.bottom}"
            raise UnreadableImageError(
                f"{sample.key}: the face's box ({short_key(sides)}) {fault}; correct the set's list"
            )
        wide, high = MARGIN * (box.right - box.left), MARGIN * (box.bottom - box.top)
        left, top = max(0, int(box.left - wide)), max(0, int(box.top - high))
        bottom, right = max(0, int(box.bottom + high) + 1), max(0, int(box.right + wide) + 1)
        return picture[top:bottom, left:right]

    def file(self, sample: Sample) -> Path:
        """The picture that a face is in."""
        return self._box(sample).file

    def _box(self, sample: Sample) -> Box:
        if not self.boxes:
            self.samples()
        return self.boxes[sample.key]


def _fault(box: Box, height: int, width: int) -> str:
    """What keeps a box from showing its face in a picture of that size; empty: nothing does."""
    if box.right <= box.left or box.bottom <= box.top:
        return "is empty"
    wide = max(0, min(box.right + 1, width) - max(box.left, 0))
    high = max(0, min(box.bottom + 1, height) - max(box.top, 0))
    inside = wide * high / ((box.right + 1 - box.left) * (box.bottom + 1 - box.top))
    return f"does not lie in its picture of {width}×{height} pixels" if inside < LEAST_INSIDE else ""
