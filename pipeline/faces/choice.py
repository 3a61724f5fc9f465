"""Which of the faces in a picture is taken."""

import numpy as np
from numpy.typing import NDArray

from pipeline.config.pictures import FaceRule
from pipeline.faces.boxes import Boxes, area, overlap

SAME_FACE = 0.3
"""Intersection over union from which a box continues the one before it: an expression changes little of it."""


class Chooser:
    """Chooses one face a picture, where wanted the one that continues a sequence's track.

    Pictures of a sequence must come in order, to the same chooser.
    """

    def __init__(self, rule: FaceRule, track: bool) -> None:
        self._rule, self._track = rule, track
        self._last: dict[str, Boxes] = {}

    def choose(self, boxes: Boxes, scores: NDArray[np.floating], size: tuple[int, int], sequence: str | None) -> int:
        """The row of the chosen face; of equals, the first.

        ``boxes``: n×4, n ≥ 1, in pixels of the picture, whose ``size`` is its width and height. ``sequence``: which
        recording the picture belongs to, None where it is a single one.
        """
        chosen = self._continued(boxes, sequence)
        if chosen is None:
            chosen = self._by_rule(boxes, scores, size)
        if sequence is not None and self._track:
            self._last[sequence] = boxes[chosen]
        return chosen

    def _continued(self, boxes: Boxes, sequence: str | None) -> int | None:
        if sequence is None or sequence not in self._last:
            return None
        shared = overlap(self._last[sequence], boxes)
        return int(shared.argmax()) if shared.max() >= SAME_FACE else None

    def _by_rule(self, boxes: Boxes, scores: NDArray[np.floating], size: tuple[int, int]) -> int:
        if self._rule == "confident":
            return int(scores.argmax())
        if self._rule == "central":
            centres = (boxes[:, :2] + boxes[:, 2:]) / 2.0
            return int(np.linalg.norm(centres - np.array(size) / 2.0, axis=1).argmin())
        return int(area(boxes).argmax())
