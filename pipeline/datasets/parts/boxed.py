"""Sets that list faces by their boxes in pictures. One picture may show several faces."""

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
"""Minimum share of a box that must lie in its picture. If a box reaches beyond the edge, the part inside is read."""

MARGIN = 0.5
"""Margin added on each side of a face's box, as a share of its size: the detector needs to see the whole head."""


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
    """Convert texts to numbers and drop the decimals.

    Raises:
        ValueError: a text is not a number, or the number is not finite.
    """
    values = [number_of(text) for text in numbers]
    if not all(map(math.isfinite, values)):
        raise ValueError("not a finite number")
    return list(map(int, values))


class BoxedFaces(Dataset):
    """A set of faces with boxes. Its ``scan`` must fill ``boxes``.

    Attributes:
        boxes: boxes by the key of the sample.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.boxes: dict[str, Box] = {}

    def read(self, sample: Sample) -> NDArray[np.uint8]:
        """Read a face with its surroundings (``MARGIN``).

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
        """Return the picture that shows a face."""
        return self._box(sample).file

    def _box(self, sample: Sample) -> Box:
        if not self.boxes:
            self.samples()
        return self.boxes[sample.key]


def _fault(box: Box, height: int, width: int) -> str:
    """Return why a box cannot be read from a picture of that size; empty if it can."""
    if box.right <= box.left or box.bottom <= box.top:
        return "is empty"
    wide = max(0, min(box.right + 1, width) - max(box.left, 0))
    high = max(0, min(box.bottom + 1, height) - max(box.top, 0))
    inside = wide * high / ((box.right + 1 - box.left) * (box.bottom + 1 - box.top))
    return f"does not lie in its picture of {width}×{height} pixels" if inside < LEAST_INSIDE else ""
