"""Arithmetic on boxes: suppression, overlap, squares, offsets. Boxes are float64 …×4: x1, y1, x2, y2 in pixels."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]
Rows = NDArray[np.int64]

ShareOf = Literal["union", "smaller"]

PAIRS_AT_ONCE = 1 << 20
"""Number of pairs of boxes that are compared at once, to limit memory in pictures with many proposals."""


def suppress(groups: Rows, boxes: Boxes, scores: NDArray[np.float64], threshold: float, share_of: ShareOf) -> Rows:
    """Non-maximum suppression within each group.

    Of boxes with equal scores the later one comes first, as in the ``mtcnn`` package. This decides which boxes remain,
    because P-Net's scores of clear faces are exactly 1.

    Args:
        groups: the group (a picture, or a level of one) of each box, n int64.
        boxes: n×4.
        scores: n float64.
        threshold: maximum overlap with a better box.
        share_of: what the overlap is divided by, see ``unsuppressed``.

    Returns:
        The remaining rows, sorted by group, then by descending score.
    """
    order = np.lexsort((-np.arange(len(scores)), -scores, groups))
    keep = np.ones(len(order), dtype=bool)
    for rows in _tables(groups[order]):
        # A −1 is padding: a box without area, which suppresses nothing.
        members = np.where(rows[..., None] < 0, 0.0, boxes[order[rows]])
        keep[rows[rows >= 0]] = unsuppressed(members, threshold, share_of)[rows >= 0]
    return order[keep]


def unsuppressed(boxes: Boxes, threshold: float, share_of: ShareOf) -> NDArray[np.bool_]:
    """Return which boxes remain if each box is removed that overlaps a better one by more than a threshold.

    Removed boxes also suppress others. The ``mtcnn`` package does this, unlike the usual greedy suppression.

    Args:
        boxes: groups×n×4, each group sorted from best to worst.
        threshold: maximum overlap.
        share_of: whether the overlap is divided by the union of the two boxes or by the smaller box.

    Returns:
        groups×n.
    """
    groups, count = boxes.shape[:2]
    keep = np.ones((groups, count), dtype=bool)
    areas = area(boxes)
    step = max(1, PAIRS_AT_ONCE // max(1, groups * count))
    for start in range(0, count, step):
        end = min(start + step, count)
        better, block = boxes[:, :end, None], boxes[:, None, start:end]
        shared = np.maximum(np.minimum(better[..., 2], block[..., 2]) - np.maximum(better[..., 0], block[..., 0]), 0.0)
        shared *= np.maximum(np.minimum(better[..., 3], block[..., 3]) - np.maximum(better[..., 1], block[..., 1]), 0.0)
        if share_of == "union":
            whole = areas[:, :end, None] + areas[:, None, start:end] - shared
        else:
            whole = np.minimum(areas[:, :end, None], areas[:, None, start:end])
        is_better = np.arange(end)[:, None] < np.arange(start, end)
        # A product, not a quotient, so that boxes without area need no special case.
        keep[:, start:end] = ~((shared > threshold * whole) & is_better).any(axis=1)
    return keep


def _tables(groups: Rows) -> Iterator[NDArray[np.int64]]:
    """Yield tables whose rows are the positions of a group's members, padded with −1; ``groups`` is ascending.

    Groups of similar size share a table. So many are compared at once, with little padding.
    """
    _, starts, counts = np.unique(groups, return_index=True, return_counts=True)
    widths = 1 << np.ceil(np.log2(counts)).astype(np.int64)
    for width in np.unique(widths):
        alike = widths == width
        places = np.arange(width)
        table = np.where(places < counts[alike, None], starts[alike, None] + places, -1)
        step = max(1, PAIRS_AT_ONCE // int(width) ** 2)
        for start in range(0, len(table), step):
            yield table[start : start + step]


def to_square(boxes: Boxes) -> Boxes:
    """Return squares with each box's centre and longer side."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2.0
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2.0
    return np.concatenate([centre - half, centre + half], axis=1)


def apply_offsets(boxes: Boxes, offsets: NDArray[np.float64]) -> Boxes:
    """Move each edge by its offset (n×4) times the box's size, in whole pixels: x2 − x1 + 1."""
    size = boxes[:, 2:] - boxes[:, :2] + 1.0
    return boxes + offsets * np.tile(size, 2)


def clipped(boxes: Boxes, width: int, height: int) -> Boxes:
    """Clip the edges of boxes to the pixels of the picture: 0 … width − 1 and 0 … height − 1."""
    return np.clip(boxes, 0.0, np.array([width - 1, height - 1, width - 1, height - 1], dtype=np.float64))


def area(boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the area of each box (…×4) in square pixels, float64."""
    sides = (boxes[..., 2:] - boxes[..., :2]).astype(np.float64)
    return np.asarray(sides.prod(axis=-1))


def iou(box: NDArray[np.floating], boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the intersection over union of one box (4) with each of ``boxes`` (n×4), n float64; without area 0."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.maximum(sides, 0.0).astype(np.float64).prod(axis=1)
    union = area(box) + area(boxes) - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0.0))
