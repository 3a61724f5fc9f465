"""Wrinkles caused by action units, and wrinkles of age."""

from collections.abc import Sequence

import numpy as np

from pipeline.standins.actions import Actions
from pipeline.standins.canvas import Points, curve
from pipeline.standins.geometry import jaw_drop, mouth
from pipeline.standins.identity import Identity
from pipeline.standins.pen import Pen, shade


def paint_wrinkles(pen: Pen, identity: Identity, actions: Actions) -> None:
    """Draw all wrinkles of a face."""
    _paint_forehead(pen, identity, actions)
    for side in (-1, 1):
        _paint_cheek(pen, identity, actions, side)
    _paint_nose_root(pen, identity, actions)
    _paint_chin(pen, identity, actions)


def _paint_forehead(pen: Pen, identity: Identity, actions: Actions) -> None:
    dark = shade(identity.skin, 0.42)
    inner, outer, lowered = actions.both(1), actions.both(2), actions.both(4)
    across = 0.25 * identity.age + 0.75 * min(inner, max(outer, 0.35 * inner))
    reach = 34 + 34 * outer
    for row in range(3):
        y = -66.0 - 13 * row - 6 * inner
        shape = [(-reach, y + 3 - 4 * outer), (-reach / 2, y - 1), (0, y + 1), (reach / 2, y - 1), (reach, y + 3)]
        pen.line(_points(shape), dark, 3.4, 0.75 * across, soft=0.9)
    frown = max(lowered, 0.15 * identity.age)
    for side in (-1, 1):
        shape = [(side * 8, -24), (side * 7, -38), (side * 10, -52)]
        pen.line(_points(shape), dark, 4.6, 0.85 * frown, soft=0.8)
    pen.tint(_points([(-12, -24), (-12, -44), (12, -44), (12, -24)]), dark, 0.25 * lowered, soft=5.0)


def _paint_cheek(pen: Pen, identity: Identity, actions: Actions, side: int) -> None:
    dark = shade(identity.skin, 0.42)
    raised, pulled, lip, nose = (actions.on(unit, side) for unit in (6, 12, 10, 9))
    fold = min(1.0, 0.22 * identity.age + max(pulled, 0.85 * lip, 0.8 * nose, 0.5 * raised))
    lift = 9 * max(lip, nose)
    out = 16 * pulled + 8 * lip
    shape = [
        (side * 27, 56 - lift),
        (side * (40 + 0.4 * out), 68 - lift),
        (side * (51 + 0.9 * out), 90 - 7 * pulled),
        (side * (54 + out), 112 - 9 * pulled),
    ]
    pen.line(_points(shape), dark, 5.0, 0.12 + 0.75 * fold, soft=1.1)
    pen.tint(_points([*shape, (side * 40, 96)]), dark, 0.16 * fold, soft=5.0)
    bag = [(side * 24, 17), (side * 44, 25 - 3 * raised), (side * 66, 24 - 4 * raised), (side * 80, 16 - 3 * raised)]
    pen.line(_points(bag), dark, 3.2, 0.15 + 0.2 * identity.age + 0.5 * raised, soft=1.0)
    for row in range(3):
        foot = [(side * 86, -4 + 6 * row), (side * 94, -8 + 9 * row), (side * 101, -11 + 12 * row)]
        pen.line(_points(foot), dark, 2.8, 0.8 * max(0.25 * identity.age - 0.1, raised - 0.1), soft=0.6)
    lids = actions.on(7, side)
    pen.line(_points([(side * 24, 11), (side * 48, 16), (side * 74, 12)]), dark, 2.6, 0.5 * lids, soft=0.7)


def _paint_nose_root(pen: Pen, identity: Identity, actions: Actions) -> None:
    dark = shade(identity.skin, 0.4)
    wrinkled = actions.both(9)
    for row in range(3):
        y = -14.0 + 11 * row
        pen.line(_points([(-11, y + 4), (0, y - 1), (11, y + 4)]), dark, 3.6, 0.8 * wrinkled, soft=0.7)
    for side in (-1, 1):
        shape = [(side * 13, 30), (side * 19, 18), (side * 21, 4)]
        pen.line(_points(shape), dark, 4.2, 0.8 * wrinkled, soft=0.9)


def _paint_chin(pen: Pen, identity: Identity, actions: Actions) -> None:
    dark = shade(identity.skin, 0.45)
    lips = mouth(identity, actions)
    for side, corner in ((-1, lips.upper_inner[0]), (1, lips.upper_inner[-1])):
        x, y = float(corner[0]), float(corner[1])
        down = actions.on(15, side)
        shape = [(x + side * 3, y + 1), (x + side * 7, y + 13), (x + side * 5, y + 26)]
        pen.line(_points(shape), dark, 4.6, 0.12 * identity.age + 0.8 * down, soft=1.0)
        stretch = actions.on(20, side)
        shape = [(x + side * 9, y - 16), (x + side * 15, y - 1), (x + side * 12, y + 14)]
        pen.line(_points(shape), dark, 4.0, 0.7 * stretch, soft=1.0)
    low = float(lips.lower_outer[16, 1])
    raised = actions.both(17)
    y = low + 9 + 0.2 * jaw_drop(actions)
    pen.line(_points([(-24, y + 5), (0, y), (24, y + 5)]), dark, 4.0, 0.15 + 0.6 * raised, soft=1.2)
    for x, dy in ((-13, 14), (-4, 11), (6, 12), (14, 15), (-8, 20), (8, 20)):
        dimple = _points([(x - 3, y + dy), (x, y + dy + 2), (x + 3, y + dy)])
        pen.line(dimple, dark, 3.0, 0.7 * raised, soft=0.9)
    tight = max(actions.both(23), actions.both(24))
    high = float(lips.upper_outer[16, 1])
    pen.line(_points([(-32, high - 5), (0, high - 8), (32, high - 5)]), dark, 4.0, 0.35 * tight, soft=2.0)


def _points(shape: Sequence[tuple[float, float]]) -> Points:
    return curve(np.array(shape, np.float64), steps=4)
