"""The drawing: an action unit moves the part of the face that it should, and nothing far from it."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.standins import geometry
from pipeline.standins.actions import Actions
from pipeline.standins.camera import draw_picture
from pipeline.standins.canvas import Canvas, curve, ellipse, ribbon
from pipeline.standins.face import Light, paint_head
from pipeline.standins.geometry import Pose
from pipeline.standins.identity import Cast, Identity, sample_identity
from pipeline.standins.layouts import Shot
from pipeline.standins.styles import STYLES

UNIT = 0.6
POSE = Pose(yaw=0.0, pitch=0.0, roll=0.0, unit=UNIT, x=120.0, y=110.0)


@pytest.fixture
def identity() -> Identity:
    cast = Cast(0.0, (1.0, 0, 0, 0, 0, 0, 0), (1.0, 0, 0, 0, 0, 0), 0.0, 0.0)
    return replace(sample_identity(cast, np.random.default_rng(1)), hair_style="short", age=0.0)


def drawn(identity: Identity, units: dict[int, float], pose: Pose = POSE) -> NDArray[np.uint8]:
    canvas = Canvas(240, 240)
    paint_head(canvas, identity, Actions.of(units), pose, Light(0.3, 0.3), 1.0)
    return canvas.pixels


def change_in(first: NDArray[np.uint8], second: NDArray[np.uint8], box: tuple[float, float, float, float]) -> float:
    """Mean difference in grey levels inside left, top, right, bottom in face units."""
    x1, y1, x2, y2 = (round(POSE.x + UNIT * v) if i % 2 == 0 else round(POSE.y + UNIT * v) for i, v in enumerate(box))
    part = np.abs(first.astype(int) - second.astype(int))[y1:y2, x1:x2]
    return float(part.mean())


BROWS = (-95.0, -75.0, 95.0, -24.0)
EYES = (-85.0, -22.0, 85.0, 20.0)
NOSE = (-30.0, 5.0, 30.0, 75.0)
MOUTH = (-65.0, 82.0, 65.0, 140.0)


@pytest.mark.parametrize(
    ("unit", "moved", "still"),
    [
        (1, BROWS, MOUTH),
        (2, BROWS, MOUTH),
        (4, BROWS, MOUTH),
        (5, EYES, MOUTH),
        (6, EYES, (-90.0, 150.0, 90.0, 175.0)),
        (7, EYES, MOUTH),
        (9, NOSE, (-90.0, 150.0, 90.0, 175.0)),
        (10, MOUTH, BROWS),
        (12, MOUTH, BROWS),
        (15, MOUTH, BROWS),
        (17, MOUTH, BROWS),
        (20, MOUTH, BROWS),
        (23, MOUTH, BROWS),
        (24, MOUTH, BROWS),
        (25, MOUTH, BROWS),
        (26, MOUTH, BROWS),
    ],
)
def test_an_action_unit_changes_its_own_region(
    identity: Identity, unit: int, moved: tuple[float, ...], still: tuple[float, ...]
) -> None:
    rest, acting = drawn(identity, {}), drawn(identity, {unit: 1.0})
    there = change_in(rest, acting, (moved[0], moved[1], moved[2], moved[3]))
    elsewhere = change_in(rest, acting, (still[0], still[1], still[2], still[3]))
    assert there > 0.8
    assert elsewhere < 0.1 * there


def test_lower_lip_depressor_uncovers_the_lower_teeth(identity: Identity) -> None:
    parted, depressed = drawn(identity, {25: 1.0}), drawn(identity, {25: 1.0, 16: 1.0})
    assert change_in(parted, depressed, MOUTH) > 0.8


def test_lip_corners_go_up_and_down(identity: Identity) -> None:
    heights = [geometry.mouth(identity, Actions.of(units)).upper_inner[0, 1] for units in ({12: 1.0}, {}, {15: 1.0})]
    assert heights[0] < heights[1] < heights[2]


def test_grief_brow_is_oblique_and_angry_brow_slants_inwards(identity: Identity) -> None:
    grief = geometry.brow(identity, Actions.of({1: 1.0, 4: 0.6}), 1)[0]
    anger = geometry.brow(identity, Actions.of({4: 1.0}), 1)[0]
    rest = geometry.brow(identity, Actions.of({}), 1)[0]
    inner, middle = 0, len(rest) // 2
    assert grief[inner, 1] - grief[middle, 1] < rest[inner, 1] - rest[middle, 1]
    assert anger[inner, 1] - anger[middle, 1] > rest[inner, 1] - rest[middle, 1]


def test_lips_never_cross_and_eyes_never_turn_inside_out(identity: Identity) -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        units = {unit: float(rng.random()) for unit in (1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 16, 17, 20, 23, 24, 25, 26)}
        lips = geometry.mouth(identity, Actions.of(units))
        assert np.all(lips.upper_outer[:, 1] <= lips.upper_inner[:, 1])
        assert np.all(lips.upper_inner[:, 1] <= lips.lower_inner[:, 1])
        assert np.all(lips.lower_inner[:, 1] <= lips.lower_outer[:, 1])
        eye = geometry.eye(identity, Actions.of(units), 1, (0.0, 0.0))
        assert np.all(eye.upper[:, 1] <= eye.lower[:, 1])


def test_jaw_drop_lowers_the_chin(identity: Identity) -> None:
    rest, open_ = (geometry.head(identity, Actions.of(units)) for units in ({}, {26: 1.0}))
    assert open_[:, 1].max() - rest[:, 1].max() == pytest.approx(30.0, abs=1.0)


def test_yaw_moves_the_nose_more_than_the_outline() -> None:
    turned = replace(POSE, yaw=0.3)
    nose, side = np.array([(0.0, 60.0)]), np.array([(113.0, 0.0)])
    nose_moved = abs(turned.project(nose) - POSE.project(nose))[0, 0]
    side_moved = abs(turned.project(side, 20.0) - POSE.project(side, 20.0))[0, 0]
    assert nose_moved > 5.0
    assert nose_moved != pytest.approx(side_moved, abs=2.0)


def test_roll_turns_the_line_of_the_eyes() -> None:
    eyes = replace(POSE, roll=np.pi / 6).project(np.array([(-50.0, 0.0), (50.0, 0.0)]), 60.0)
    across = eyes[1] - eyes[0]
    assert np.degrees(np.arctan2(across[1], across[0])) == pytest.approx(30.0)
    assert np.hypot(*across) == pytest.approx(100.0 * UNIT)


def test_colour_is_premultiplied_everywhere(identity: Identity) -> None:
    pixels = drawn(identity, {12: 1.0, 26: 0.5}).astype(int)
    assert np.all(pixels[..., :3].max(axis=2) <= pixels[..., 3] + 1)


def test_within_keeps_paint_inside() -> None:
    canvas = Canvas(40, 40)
    canvas.paint(ellipse((20, 20), (19, 19)), (100, 100, 100))
    with canvas.within(ellipse((20, 20), (6, 6))):
        canvas.paint(np.array([(0.0, 0.0), (40.0, 0.0), (40.0, 40.0), (0.0, 40.0)]), (255, 0, 0))
    assert canvas.pixels[20, 20].tolist() == [255, 0, 0, 255]
    assert canvas.pixels[20, 30].tolist() == [100, 100, 100, 255]


def test_a_tint_leaves_what_is_transparent_transparent() -> None:
    canvas = Canvas(20, 20)
    canvas.paint(ellipse((10, 10), (8, 8)), (255, 0, 0), opacity=0.5, soft=2.0)
    assert not canvas.pixels.any()


def test_shapes_outside_the_canvas_are_no_error() -> None:
    canvas = Canvas(20, 20)
    far = ellipse((-500, 900), (8, 8))
    canvas.paint(far, (255, 0, 0))
    canvas.paint(far, (255, 0, 0), opacity=0.5, soft=3.0)
    with canvas.within(far):
        canvas.paint(far, (0, 255, 0))
    assert not canvas.pixels.any()


def test_curve_passes_through_its_points() -> None:
    points = np.array([(0.0, 0.0), (3.0, 5.0), (8.0, 2.0)])
    line = curve(points, steps=4)
    assert np.allclose(line[::4], points)
    assert np.allclose(curve(points, closed=True, steps=4)[::4], points)


def test_ribbon_has_its_width_in_the_middle() -> None:
    line = np.stack([np.linspace(0, 10, 11), np.zeros(11)], axis=1)
    shape = ribbon(line, 4.0, ends=0.25)
    assert shape[5, 1] - shape[-6, 1] == pytest.approx(4.0)
    assert shape[0, 1] - shape[-1, 1] == pytest.approx(1.0)


@pytest.mark.parametrize("dataset", STYLES)
def test_a_picture_depends_on_seed_and_subject_alone(dataset: str) -> None:
    style = STYLES[dataset]
    first = draw_picture(Shot("neutral", 1, 1), style, 7, dataset)
    assert first.shape == ((style.height, style.width, 3) if style.colour else (style.height, style.width))
    assert first.dtype == np.uint8
    assert np.array_equal(first, draw_picture(Shot("neutral", 1, 1), style, 7, dataset))
    assert not np.array_equal(first, draw_picture(Shot("neutral", 2, 1), style, 7, dataset))
    assert not np.array_equal(first, draw_picture(Shot("neutral", 1, 1), style, 8, dataset))
