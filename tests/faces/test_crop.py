"""From box to crop: margins, clipping, and how it is resized."""

import numpy as np
import pytest

from pipeline.config.pictures import Upscale
from pipeline.data.crops import CROP_SIZE
from pipeline.faces.crop import Box, crop_box, region, resize, sharpness
from tests.faces.scenes import noise, photograph


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [
        ((10.0, 20.0, 30.0, 60.0), 0.0, (10, 20, 30, 60)),
        ((10.0, 20.0, 30.0, 60.0), 0.25, (5, 10, 35, 70)),
        ((10.0, 20.0, 30.0, 60.0), 1.0, (0, 0, 50, 80)),
        ((10.4, 19.6, 30.4, 59.6), 0.0, (10, 20, 30, 60)),
        ((-8.0, -8.0, 200.0, 200.0), 0.0, (0, 0, 100, 80)),
        ((40.2, 40.2, 40.3, 40.3), 0.0, (40, 40, 41, 41)),
        ((99.9, 79.9, 120.0, 120.0), 0.0, (99, 79, 100, 80)),
        ((-30.0, -30.0, -20.0, -20.0), 0.0, (0, 0, 1, 1)),
    ],
)
def test_region_is_widened_clipped_and_never_empty(box: Box, margin: float, expected: tuple[int, ...]) -> None:
    assert region(box, margin, width=100, height=80) == expected


def test_crop_takes_the_box() -> None:
    picture = np.zeros((80, 100, 3), dtype=np.uint8)
    picture[20:60, 10:30] = (200, 100, 50)
    taken = crop_box(picture, (10.0, 20.0, 30.0, 60.0), 0.0)
    assert taken.shape == (CROP_SIZE, CROP_SIZE, 3)
    assert taken.dtype == np.uint8
    assert (taken == (200, 100, 50)).all()
    assert not (crop_box(picture, (10.0, 20.0, 30.0, 60.0), 0.25) == (200, 100, 50)).all()


def test_one_pixel_fills_the_crop() -> None:
    assert (crop_box(np.full((1, 1, 3), 77, dtype=np.uint8), (0.0, 0.0, 1.0, 1.0), 0.0) == 77).all()


def test_shrinking_averages_along_its_own_axis() -> None:
    stripes = np.zeros((4, 400, 3), dtype=np.uint8)
    stripes[:, ::2] = 200
    # Cubic interpolation alone would alias the stripes to 0 or 200.
    assert (abs(resize(stripes, 100, 8).astype(int) - 100) <= 1).all()


@pytest.mark.parametrize("turned", [False, True])
def test_a_strip_is_never_enlarged_at_its_full_length(turned: bool) -> None:
    strip = np.full((1, 40_000_000, 3), 9, dtype=np.uint8)
    strip = strip.transpose(1, 0, 2) if turned else strip
    taken = crop_box(strip, (0.0, 0.0, float(strip.shape[1]), float(strip.shape[0])), 0.0)
    assert (taken == 9).all()


def test_same_size_is_the_same_picture() -> None:
    picture = noise(CROP_SIZE, CROP_SIZE)
    assert (crop_box(picture, (0.0, 0.0, CROP_SIZE, CROP_SIZE), 0.0) == picture).all()


@pytest.mark.parametrize(("upscale", "overshoots"), [("linear", False), ("cubic", True), ("lanczos", True)])
def test_a_small_face_is_enlarged_as_asked(upscale: Upscale, overshoots: bool) -> None:
    edge = np.full((20, 20, 3), 50, dtype=np.uint8)
    edge[:, 10:] = 200
    crops = {way: crop_box(edge, (0.0, 0.0, 20.0, 20.0), 0.0, way) for way in ("linear", "cubic", "lanczos")}
    assert (crops[upscale].max() > 201) == overshoots
    assert len({taken.tobytes() for taken in crops.values()}) == 3


def test_grey_stays_grey() -> None:
    taken = crop_box(photograph()[..., :1].repeat(3, axis=2), (90.0, 40.0, 176.0, 152.0), 0.1)
    assert (taken == taken[..., :1]).all()


def test_sharpness_falls_with_blur() -> None:
    sharp = crop_box(photograph(), (90.0, 40.0, 176.0, 152.0), 0.0)
    blurred = resize(resize(sharp, 28, 28), CROP_SIZE, CROP_SIZE)
    assert sharpness(sharp) > 3 * sharpness(blurred)
    assert sharpness(np.full((CROP_SIZE, CROP_SIZE, 3), 77, dtype=np.uint8)) == 0.0
