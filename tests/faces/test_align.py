"""Similarity alignment: the landmarks come to lie on the template, whatever the size, turn and place of the face."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.data.crops import CROP_SIZE
from pipeline.faces.crop import TEMPLATE, crop_aligned, similarity, widened
from tests.faces.scenes import noise, photograph

Points = NDArray[np.float64]


def moved(points: Points, scale: float, degrees: float, shift: tuple[float, float]) -> Points:
    turn = np.deg2rad(degrees)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.asarray(scale * points @ rotation.T + np.array(shift))


def dots(points: Points, size: tuple[int, int], radius: float) -> NDArray[np.uint8]:
    """Soft white dots on black at ``points``; ``size`` is height and width."""
    y, x = np.mgrid[: size[0], : size[1]]
    glow = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * radius**2)) for px, py in points)
    return np.repeat((255 * np.clip(glow, 0, 1)).astype(np.uint8)[:, :, None], 3, axis=2)


def centre_near(picture: NDArray[np.uint8], point: Points, reach: int = 6) -> Points:
    """The centre of brightness around ``point``."""
    x, y = (round(float(value)) for value in point)
    part = picture[y - reach : y + reach + 1, x - reach : x + reach + 1, 0].astype(float)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return np.array([x + (part * columns).sum() / part.sum(), y + (part * rows).sum() / part.sum()])


@pytest.mark.parametrize(
    ("scale", "degrees", "shift"), [(1.0, 0.0, (0.0, 0.0)), (0.3, 25.0, (40.0, 7.0)), (7.5, -40.0, (90.0, 500.0))]
)
def test_an_exact_similarity_is_recovered(scale: float, degrees: float, shift: tuple[float, float]) -> None:
    points = moved(TEMPLATE, scale, degrees, shift)
    matrix = similarity(points, TEMPLATE)
    np.testing.assert_allclose(points @ matrix[:, :2].T + matrix[:, 2], TEMPLATE, atol=1e-8)
    assert np.hypot(*matrix[:, 0]) == pytest.approx(1 / scale)


def test_noisy_points_get_the_least_squares_solution_of_opencv() -> None:
    generator = np.random.default_rng(0)
    points = moved(TEMPLATE, 2.0, 10.0, (30.0, 40.0)) + generator.normal(0, 3, (5, 2))
    # All points within the threshold are inliers, which OpenCV then refines by least squares.
    reference, inliers = cv2.estimateAffinePartial2D(points, TEMPLATE, ransacReprojThreshold=100.0, refineIters=100)
    assert inliers.all()
    np.testing.assert_allclose(similarity(points, TEMPLATE), reference, atol=1e-4)


def test_points_in_one_place_only_shift() -> None:
    matrix = similarity(np.full((5, 2), 7.0), TEMPLATE)
    np.testing.assert_allclose(matrix @ [7.0, 7.0, 1.0], TEMPLATE.mean(axis=0))
    assert crop_aligned(noise(30, 30), np.full((5, 2), 7.0), 0.0).shape == (CROP_SIZE, CROP_SIZE, 3)


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.3, 5.0])
@pytest.mark.parametrize("margin", [0.0, 0.25])
def test_landmarks_come_to_lie_on_the_template(scale: float, margin: float) -> None:
    points = moved(TEMPLATE, scale, 20.0, (60.0 * scale, 20.0 * scale))
    picture = dots(points, (int(170 * scale), int(190 * scale)), radius=2.0 * scale)
    crop = crop_aligned(picture, points, margin)
    for wanted in widened(TEMPLATE, margin):
        np.testing.assert_allclose(centre_near(crop, wanted), wanted, atol=0.25)


def test_margin_shows_more_on_each_side() -> None:
    np.testing.assert_allclose(widened(np.array([[0.0, 55.5]]), 0.5), [[27.75, 55.5]])


def test_shrinking_averages() -> None:
    stripes = np.zeros((560, 560, 3), dtype=np.uint8)
    stripes[:, ::2] = 200
    # A sample of single pixels would alias the stripes to 0 or 200.
    assert (abs(crop_aligned(stripes, TEMPLATE * 5.0, 0.0).astype(int) - 100) <= 2).all()


def test_a_very_wide_picture_is_cut_around_the_face_first() -> None:
    picture = np.zeros((200, 40_000, 3), dtype=np.uint8)
    points = moved(TEMPLATE, 1.0, 0.0, (39_800.0, 40.0))
    picture[:, 39_000:] = dots(moved(points, 1.0, 0.0, (-39_000.0, 0.0)), (200, 1000), radius=2.0)
    np.testing.assert_array_equal(crop_aligned(picture, points, 0.0), picture[40:152, 39_800:39_912])


def test_beyond_the_picture_its_edge_goes_on() -> None:
    crop = crop_aligned(np.full((40, 40, 3), 90, dtype=np.uint8), TEMPLATE + 60.0, 0.0)
    assert (crop == 90).all()


def test_grey_stays_grey_and_colour_colour() -> None:
    landmarks = np.array([[113.7, 80.4], [156.4, 83.1], [134.2, 107.8], [111.3, 118.4], [154.2, 121.0]])
    grey = photograph()[..., 1:2].repeat(3, axis=2)
    crop = crop_aligned(grey, landmarks, 0.1)
    assert (crop == crop[..., :1]).all()
    assert (np.ptp(crop_aligned(photograph(), landmarks, 0.1).astype(int), axis=2) > 20).any()
