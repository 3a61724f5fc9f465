"""Faces that keep their number from frame to frame of a video."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.faces.boxes import Boxes, iou
from pipeline.faces.crop import Box
from pipeline.faces.finder import SAME_FACE

PATIENCE = 10
"""Frames for which a face may go unseen and still be the same: someone looks away, the detector misses one."""


@dataclass
class Tracks:
    """Follows the faces of one video by the overlap of their boxes: the greatest first, each box and track once."""

    _last: dict[int, tuple[Boxes, int]] = field(default_factory=dict)
    _frame: int = 0
    _count: int = 0

    def follow(self, boxes: Sequence[Box]) -> list[int]:
        """The number (from 1) of each box's track; frames must come in order."""
        self._frame += 1
        self._last = {track: seen for track, seen in self._last.items() if self._frame - seen[1] <= PATIENCE}
        found = self._continued(boxes)
        for row in range(len(boxes)):
            if row not in found:
                self._count += 1
                found[row] = self._count
        for row, track in found.items():
            self._last[track] = np.asarray(boxes[row]), self._frame
        return [found[row] for row in range(len(boxes))]

    def _continued(self, boxes: Sequence[Box]) -> dict[int, int]:
        """The track by the row of each box that goes on with one."""
        if not boxes or not self._last:
            return {}
        tracks = list(self._last)
        shared = np.stack([iou(self._last[track][0], np.asarray(boxes)) for track in tracks])
        found: dict[int, int] = {}
        for place in np.argsort(-shared, axis=None, kind="stable"):
            of, row = np.unravel_index(place, shared.shape)
            if shared[of, row] < SAME_FACE:
                break
            if row not in found and tracks[of] not in found.values():
                found[int(row)] = tracks[of]
        return found
