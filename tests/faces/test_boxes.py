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


@pytest.mark.parametrize("share_of", ["union", "smaller"])
@pytest.mark.parametrize("block", [1, 7, 512])
def test_suppression_by_definition(share_of: ShareOf, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes, "BLOCK", block)
    some = random_boxes(50)
    expected = [all(overlap(some[j], some[i], share_of) <= 0.4 for j in range(i)) for i in range(50)]
    assert boxes.unsuppressed(some, 0.4, share_of).tolist() == expected
    assert 1 < sum(expected) < 50


def test_suppressed_box_still_suppresses() -> None:
    chain = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]], dtype=np.float64)
    assert boxes.unsuppressed(chain, 0.3, "union").tolist() == [True, False, False]


def test_boxes_without_area_and_none_at_all() -> None:
    points = np.array([[3, 3, 3, 3], [3, 3, 3, 3]], dtype=np.float64)
    assert boxes.unsuppressed(points, 0.5, "smaller").tolist() == [True, True]
    assert len(boxes.unsuppressed(np.empty((0, 4)), 0.5, "union")) == 0


def test_square_keeps_centre_and_longer_side() -> None:
    assert boxes.to_square(np.array([[10.0, 0.0, 20.0, 40.0]])).tolist() == [[-5.0, 0.0, 35.0, 40.0]]


def test_shift_counts_whole_pixels() -> None:
    moved = boxes.shifted(np.array([[0.0, 10.0, 9.0, 29.0]]), np.array([[0.1, -0.1, 0.2, 0.5]]))
    assert moved.tolist() == [[1.0, 8.0, 11.0, 39.0]]


def test_clip_ends_on_the_last_pixel() -> None:
    assert boxes.clipped(np.array([[-5.0, 2.0, 100.0, 100.0]]), width=50, height=30).tolist() == [[0, 2, 49, 29]]
