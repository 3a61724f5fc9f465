"""The cascade: mixtures of sizes, pictures without faces, and the parts that agree with TensorFlow's conventions."""

import numpy as np
import pytest
import torch

from pipeline.faces import mtcnn
from pipeline.faces.mtcnn import MTCNN, crop_and_resize, pyramid, resized
from tests.faces.scenes import Picture, dimmed, halved, noise, photograph, scenes, two_faces

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def detector() -> MTCNN:
    return MTCNN(20, 0.709, (0.6, 0.7, 0.8), CPU)


@pytest.mark.parametrize(("pixels", "patches"), [(1 << 20, 256), (1, 5)])
def test_batch_equals_one_by_one(detector: MTCNN, pixels: int, patches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [*scenes().values(), dimmed(photograph()), photograph()]
    alone = [detector.detect([picture])[0] for picture in pictures]
    monkeypatch.setattr(mtcnn, "PIXELS_AT_ONCE", pixels)
    monkeypatch.setattr(mtcnn, "PATCHES_AT_ONCE", patches)
    for one, other in zip(alone, detector.detect(pictures), strict=True):
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


def test_pyramid_starts_at_min_face_and_leaves_out_what_is_too_small() -> None:
    assert pyramid(272, 240, 20, 0.709)[0] == pytest.approx(0.6)
    assert len(pyramid(272, 240, 20, 0.709)) == 8
    assert min(240 * scale for scale in pyramid(272, 240, 32, 0.709)) >= 11
    assert pyramid(12, 12, 12, 0.709) == []


def test_resizing_averages_fractional_areas() -> None:
    row = np.array([0.0, 3.0, 9.0], dtype=np.float32).reshape(1, 1, 3, 1).repeat(2, axis=1).repeat(3, axis=3)
    # Two pixels of 1.5: the middle one counts half in each.
    np.testing.assert_allclose(resized(row, 0.67)[0, 0, :, 0], [1.0, 7.0], rtol=1e-6)


def test_patches_follow_tensorflow() -> None:
    ramp = torch.arange(10.0).repeat(10, 1)[None, None] + 1.0
    whole = crop_and_resize(ramp, np.array([0]), np.array([[0.0, 0.0, 10.0, 10.0]]), 4)
    torch.testing.assert_close(whole[0, 0, 0], torch.tensor([1.0, 4.0, 7.0, 10.0]))
    # An edge at x = 5 of 10 samples column 5 · 9 / 10 = 4.5.
    half = crop_and_resize(ramp, np.array([0]), np.array([[5.0, 0.0, 10.0, 10.0]]), 2)
    torch.testing.assert_close(half[0, 0, 0], torch.tensor([5.5, 10.0]))
    # What lies outside is 0 at once, not blended with the edge.
    outside = crop_and_resize(ramp, np.array([0]), np.array([[-0.5, 0.0, 10.0, 10.0]]), 2)
    torch.testing.assert_close(outside[0, 0, 0], torch.tensor([0.0, 10.0]))


def test_patches_come_from_their_own_picture() -> None:
    pictures = torch.stack([torch.full((3, 8, 8), float(value)) for value in range(3)])
    box = np.array([[1.0, 1.0, 6.0, 6.0]])
    patches = crop_and_resize(pictures, np.array([2, 0, 1, 2]), box.repeat(4, axis=0), 5)
    assert patches.mean(dim=(1, 2, 3)).tolist() == pytest.approx([2.0, 0.0, 1.0, 2.0])
