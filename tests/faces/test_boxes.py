"""Arithmetic on boxes, against the definition written out."""

import numpy as np
import pytest

from pipeline.faces import boxes
from pipeline.faces.boxes import Boxes, ShareOf


def random_boxes(count: int, seed: int = 0) -> Boxes:
    generator = np.random.default_rng(seed)
    corners = generator.uniform(0, 60, (count, 2))
    return np.concatenate([corners, corners + generator.uniform(5, 40, (count, 2))], axis=1)


def overlap(a: Boxes, b: Boxes, share_of: ShareOf) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    area_a, area_b = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    return float(shared / (min(area_a, area_b) if share_of == "smaller" else area_a + area_b - shared))


def expected(boxes: Boxes, threshold: float, share_of: ShareOf) -> list[bool]:
    return [all(overlap(boxes[j], boxes[i], share_of) <= threshold for j in range(i)) for i in range(len(boxes))]


@pytest.mark.parametrize("share_of", ["union", "smaller"])
@pytest.mark.parametrize("pairs", [1, 350, 1 << 20])
def test_suppression_by_definition(share_of: ShareOf, pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes, "PAIRS_AT_ONCE", pairs)
    some = np.stack([random_boxes(50), random_boxes(50, seed=1)])
    wanted = [expected(group, 0.4, share_of) for group in some]
    assert boxes.unsuppressed(some, 0.4, share_of).tolist() == wanted
    assert 1 < sum(wanted[0]) < 50


@pytest.mark.parametrize("pairs", [1, 1 << 20])
def test_groups_of_many_sizes_are_suppressed_apart_and_by_score(pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes, "PAIRS_AT_ONCE", pairs)
    generator = np.random.default_rng(2)
    groups = generator.permutation(np.repeat([3, 0, 7, 8], [1, 40, 5, 13]))
    some, scores = random_boxes(len(groups)), generator.uniform(size=len(groups)).round(1)
    kept = boxes.suppress(groups, some, scores, 0.3, "union")
    wanted: list[int] = []
    for group in (0, 3, 7, 8):
        rows = np.flatnonzero(groups == group)[::-1]
        rows = rows[np.argsort(-scores[rows], kind="stable")]
        wanted += rows[expected(some[rows], 0.3, "union")].tolist()
    assert kept.tolist() == wanted
    assert len(kept) < len(groups)


def test_suppressed_box_still_suppresses() -> None:
    chain = np.array([[[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]]], dtype=np.float64)
    assert boxes.unsuppressed(chain, 0.3, "union").tolist() == [[True, False, False]]


def test_boxes_without_area_and_none_at_all() -> None:
    points = np.array([[[3, 3, 3, 3], [3, 3, 3, 3]]], dtype=np.float64)
    assert boxes.unsuppressed(points, 0.5, "smaller").tolist() == [[True, True]]
    nothing = np.empty(0, dtype=np.int64)
    assert len(boxes.suppress(nothing, np.empty((0, 4)), np.empty(0), 0.5, "union")) == 0


def test_overlap_with_boxes_beside_inside_and_without_area() -> None:
    others = np.array([[0, 0, 10, 10], [0, 0, 5, 10], [20, 0, 30, 10], [3, 3, 3, 3]], dtype=np.float64)
    assert boxes.iou(np.array([0.0, 0.0, 10.0, 10.0]), others).tolist() == [1.0, 0.5, 0.0, 0.0]
    assert boxes.iou(others[3], others[3:]).tolist() == [0.0]


def test_square_keeps_centre_and_longer_side() -> None:
    assert boxes.to_square(np.array([[10.0, 0.0, 20.0, 40.0]])).tolist() == [[-5.0, 0.0, 35.0, 40.0]]


def test_shift_counts_whole_pixels() -> None:
    moved = boxes.apply_offsets(np.array([[0.0, 10.0, 9.0, 29.0]]), np.array([[0.1, -0.1, 0.2, 0.5]]))
    assert moved.tolist() == [[1.0, 8.0, 11.0, 39.0]]


def test_clip_ends_on_the_last_pixel() -> None:
    assert boxes.clipped(np.array([[-5.0, 2.0, 100.0, 100.0]]), width=50, height=30).tolist() == [[0, 2, 49, 29]]
