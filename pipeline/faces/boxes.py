"""Arithmetic on boxes: suppression, squares, offsets. Boxes are float64 n×4: x1, y1, x2, y2 in pixels."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]

ShareOf = Literal["union", "smaller"]

BLOCK = 512
"""Boxes compared with all better ones at a time: memory then grows with n, not with n²."""


def by_score(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """The order from the highest score to the lowest; equal scores keep theirs."""
    return np.argsort(-scores, kind="stable")


def unsuppressed(boxes: Boxes, threshold: float, share_of: ShareOf) -> NDArray[np.bool_]:
    """Which boxes remain when each one goes that overlaps a better one by more than ``threshold``; n bool.

    ``boxes`` are sorted from best to worst. A box that has itself gone still suppresses: so the ``mtcnn`` package does
    it, unlike the usual greedy suppression. The overlap is a share of the two boxes' union or of the smaller box.
    """
    keep = np.ones(len(boxes), dtype=bool)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for start in range(0, len(boxes), BLOCK):
        end = min(start + BLOCK, len(boxes))
        better, block = boxes[:end, None], boxes[None, start:end]
        sides = np.minimum(better[..., 2:], block[..., 2:]) - np.maximum(better[..., :2], block[..., :2])
        shared = np.maximum(sides, 0.0).prod(axis=-1)
        if share_of == "union":
            whole = areas[:end, None] + areas[None, start:end] - shared
        else:
            whole = np.minimum(areas[:end, None], areas[None, start:end])
        is_better = np.arange(end)[:, None] < np.arange(start, end)[None, :]
        # A product rather than a quotient: boxes without an area then need no special case.
        keep[start:end] = ~((shared > threshold * whole) & is_better).any(axis=0)
    return keep


def to_square(boxes: Boxes) -> Boxes:
    """The squares of each box's longer side about its centre."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2.0
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2.0
    return np.concatenate([centre - half, centre + half], axis=1)


def shifted(boxes: Boxes, offsets: NDArray[np.float64]) -> Boxes:
    """Move each edge by its offset (n×4) times the box's size, counted in whole pixels: x2 − x1 + 1."""
    size = boxes[:, 2:] - boxes[:, :2] + 1.0
    return boxes + offsets * np.tile(size, 2)


def clipped(boxes: Boxes, width: int, height: int) -> Boxes:
    """The boxes with every edge on a pixel of the picture: 0 … width − 1 and 0 … height − 1."""
    return np.clip(boxes, 0.0, np.array([width - 1, height - 1, width - 1, height - 1], dtype=np.float64))


def area(boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Area of each box in square pixels; n float64."""
    sides = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)
    return np.asarray(sides.prod(axis=1))
