"""The cascade: mixtures of sizes, pictures without faces, and the parts that agree with TensorFlow's conventions."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.faces import mtcnn
from pipeline.faces.mtcnn import MTCNN
from pipeline.faces.pyramid import Stack
from tests.faces.scenes import Picture, dimmed, halved, noise, photograph, scenes, two_faces

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def detector() -> MTCNN:
    return MTCNN(20, 0.709, (0.6, 0.7, 0.8), CPU)


@pytest.mark.slow
@pytest.mark.parametrize(("pixels", "patches"), [(1 << 20, 256), (1, 5)])
def test_batch_equals_one_by_one(detector: MTCNN, pixels: int, patches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [*scenes().values(), dimmed(photograph()), photograph()]
    alone = [detector.detect([picture])[0] for picture in pictures]
    monkeypatch.setattr(mtcnn, "CPU_PIXELS", pixels)
    monkeypatch.setattr(mtcnn, "CPU_PATCHES", patches)
    others = MTCNN(20, 0.709, (0.6, 0.7, 0.8), CPU).detect(pictures)
    for one, other in zip(alone, others, strict=True):
        assert len(one.boxes) == len(other.boxes)
        np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01)
        np.testing.assert_allclose(one.landmarks, other.landmarks, atol=0.01)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)


def test_types_order_and_bounds(detector: MTCNN) -> None:
    picture = two_faces()
    (found,) = detector.detect([picture])
    assert (found.boxes.shape, found.landmarks.shape, found.scores.shape) == ((2, 4), (2, 5, 2), (2,))
    assert found.boxes.dtype == found.landmarks.dtype == found.scores.dtype == np.float32
    assert found.scores[0] >= found.scores[1]
    assert (found.boxes >= 0).all()
    assert (found.boxes[:, 2:] <= [picture.shape[1] - 1, picture.shape[0] - 1]).all()
    left_eye, right_eye, nose, left_mouth, right_mouth = found.landmarks[0]
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert left_eye[1] < nose[1] < left_mouth[1]


@pytest.mark.parametrize("picture", [noise(1, 1), noise(1, 300), noise(12, 12), noise(17, 400), np.zeros((90, 90, 3))])
def test_no_face_and_no_error(detector: MTCNN, picture: Picture) -> None:
    (found,) = detector.detect([picture.astype(np.uint8)])
    assert (found.boxes.shape, found.landmarks.shape, found.scores.shape) == ((0, 4), (0, 5, 2), (0,))


def test_nothing_in_nothing_out(detector: MTCNN) -> None:
    assert detector.detect([]) == []


def test_large_min_face_still_finds_large_faces_but_no_small_ones() -> None:
    detector = MTCNN(60, 0.709, (0.6, 0.7, 0.8), CPU)
    large, small = detector.detect([photograph(), halved(halved(photograph()))])
    assert len(large.boxes) == 1
    assert len(small.boxes) == 0


def test_large_first_finds_the_same_large_face_and_spares_the_fine_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[float] = []
    levels = Stack.levels

    def counting(self: Stack, scales: Sequence[float], chosen: NDArray[np.int64]) -> list[Tensor]:
        looked_at.extend(scales)
        return levels(self, scales, chosen)

    monkeypatch.setattr(Stack, "levels", counting)
    large_first = MTCNN(20, 0.709, (0.6, 0.7, 0.8), CPU, large_first=True)
    exact = MTCNN(20, 0.709, (0.6, 0.7, 0.8), CPU)
    picture = halved(photograph())[5:105, 20:120]
    (all_levels,), seen = exact.detect([picture]), len(looked_at)
    (coarse_levels,) = large_first.detect([picture])
    assert 0 < len(looked_at) - seen < seen
    np.testing.assert_allclose(coarse_levels.boxes, all_levels.boxes, atol=0.5)
    np.testing.assert_allclose(coarse_levels.landmarks, all_levels.landmarks, atol=0.5)


def test_large_first_looks_everywhere_before_it_says_none() -> None:
    large_first = MTCNN(20, 0.709, (0.6, 0.7, 0.8), CPU, large_first=True)
    exact = MTCNN(20, 0.709, (0.6, 0.7, 0.8), CPU)
    small = np.full((300, 300, 3), 110, dtype=np.uint8)
    small[90:210, 80:216] = halved(photograph())
    pictures = [small, noise(200, 200), two_faces(), halved(small)]
    for one, other in zip(exact.detect(pictures), large_first.detect(pictures), strict=True):
        assert len(one.boxes[:1]) == len(other.boxes[:1])
        np.testing.assert_allclose(one.boxes[:1], other.boxes[:1], atol=0.5)
