"""Tracking: faces of a video keep their number from frame to frame."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.faces.boxes import Boxes, iou
from pipeline.faces.crop import Box
from pipeline.faces.finder import SAME_FACE

PATIENCE = 10
"""Maximum number of frames in which a tracked face may be missing: someone looks away, or the detector fails."""


@dataclass
class Tracks:
    """Tracks the faces of one video by the overlap (IoU) of their boxes.

    Boxes and tracks are matched greedily by descending overlap, each at most once.
    """

    _last: dict[int, tuple[Boxes, int]] = field(default_factory=dict)
    _frame: int = 0
    _count: int = 0

    def follow(self, boxes: Sequence[Box]) -> list[int]:
        """Return the track number (from 1) of each box of the next frame."""
        self._frame += 1
        self._last = {number: last for number, last in self._last.items() if self._frame - last[1] <= PATIENCE}
        found = self._continued(boxes)
        for row in range(len(boxes)):
            if row not in found:
                self._count += 1
                found[row] = self._count
        for row, track in found.items():
            self._last[track] = np.asarray(boxes[row]), self._frame
        return [found[row] for row in range(len(boxes))]

    def _continued(self, boxes: Sequence[Box]) -> dict[int, int]:
        """Return the existing tracks that boxes continue, by the box's index."""
        if not boxes or not self._last:
            return {}
        tracks = list(self._last)
        overlaps = np.stack([iou(self._last[track][0], np.asarray(boxes)) for track in tracks])
        found: dict[int, int] = {}
        for pair in np.argsort(-overlaps, axis=None, kind="stable"):
            track, row = np.unravel_index(pair, overlaps.shape)
            if overlaps[track, row] < SAME_FACE:
                break
            if row not in found and tracks[track] not in found.values():
                found[int(row)] = tracks[track]
        return found
