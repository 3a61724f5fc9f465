"""Drawing one head on a canvas, from back to front."""

from dataclasses import dataclass

import numpy as np

from pipeline.standins import geometry, wrinkles
from pipeline.standins.actions import Actions
from pipeline.standins.canvas import Canvas, Points, curve, ellipse, ribbon
from pipeline.standins.geometry import Pose
from pipeline.standins.hair import COVERS_EARS, paint_back_hair, paint_facial_hair, paint_front_hair
from pipeline.standins.identity import Colour, Identity
from pipeline.standins.pen import Pen, shade


@dataclass(frozen=True)
class Light:
    """Light and gaze.

    Attributes:
        side: direction of the light, from -1 (left in the picture) to +1 (right).
        hardness: 0 to 1.
        gaze: shift of the irises, x and y in face units.
    """

    side: float
    hardness: float
    gaze: tuple[float, float] = (0.0, 0.0)


def paint_head(canvas: Canvas, identity: Identity, actions: Actions, pose: Pose, light: Light, ink: float) -> None:
    """Draw head, neck and shoulders.

    Args:
        canvas: the canvas to draw on.
        identity: the person.
        actions: the face's action units.
        pose: pose of the head, in the canvas' pixels.
        light: light and gaze.
        ink: factor on the strength of all lines and wrinkles.
    """
    pen = Pen(canvas, pose, ink)
    paint_back_hair(pen, identity)
    _paint_body(pen, identity)
    outline = geometry.head(identity, actions)
    if identity.hair_style not in COVERS_EARS:
        _paint_ears(pen, identity)
    pen.fill(outline, identity.skin, depth=20.0)
    with canvas.within(pose.project(outline, 20.0)):
        _paint_shading(pen, identity, actions, outline, light)
        wrinkles.paint_wrinkles(pen, identity, actions)
        paint_facial_hair(pen, identity, actions)
    for side in (-1, 1):
        _paint_eye(pen, identity, actions, side, light)
    _paint_nose(pen, identity, actions)
    _paint_mouth(pen, identity, actions)
    for side in (-1, 1):
        upper, lower = geometry.brow(identity, actions, side)
        pen.tint(np.concatenate([upper, lower[::-1]]), shade(identity.hair, 0.85), 0.9, soft=0.8)
    paint_front_hair(pen, identity)
    if identity.glasses:
        _paint_glasses(pen)


def _paint_body(pen: Pen, identity: Identity) -> None:
    half = 58.0 if identity.woman else 70.0
    neck = np.array([(-half, 100), (-half, 190), (-half - 14, 285), (half + 14, 285), (half, 190), (half, 100)], float)
    shoulder = [(74, 222), (190, 246), (266, 292), (306, 380), (320, 600), (330, 1300)]
    chest = [*((-x, y) for x, y in reversed(shoulder)), (0, 250), *shoulder]
    pen.fill(neck, shade(identity.skin, 0.86), depth=0.0)
    pen.tint(ellipse((0, 168), (half * 1.1, 34)), shade(identity.skin, 0.45), 0.55, soft=12.0, depth=0.0)
    pen.fill(curve(np.array(chest, float)), identity.clothes, depth=0.0)
    collar = curve(np.array([(-76, 224), (-40, 250), (0, 262), (40, 250), (76, 224)], float))
    pen.line(collar, shade(identity.clothes, 0.6), 5.0, 0.8, depth=0.0)


def _paint_ears(pen: Pen, identity: Identity) -> None:
    for side in (-1, 1):
        x = side * 113.0 * identity.head_width
        pen.fill(ellipse((x, 16), (13, 28)), shade(identity.skin, 0.92), depth=0.0)
        pen.line(
            curve(np.array([(x, -4), (x + side * 6, 6), (x + side * 3, 26)], float)),
            shade(identity.skin, 0.55),
            3.0,
            0.6,
            depth=0.0,
        )


def _paint_shading(pen: Pen, identity: Identity, actions: Actions, outline: Points, light: Light) -> None:
    dark, bright = shade(identity.skin, 0.5), shade(identity.skin, 1.18)
    rim = np.concatenate([outline, outline[:1]])
    pen.tint(ribbon(rim, 30.0, ends=1.0), dark, 0.34, soft=13.0, depth=20.0)
    away = -1.0 if light.side > 0 else 1.0
    shadow = np.array([(away * x, y) for x, y in ((140, -160), (52, -150), (46, -20), (60, 60), (40, 210), (140, 220))])
    pen.tint(shadow, dark, 0.65 * light.hardness * abs(light.side), soft=20.0, depth=20.0)
    pen.tint(ellipse((-away * 38 * abs(light.side), -82), (52, 26)), bright, 0.5, soft=16.0)
    for side in (-1, 1):
        squeeze = max(actions.on(6, side), 0.8 * actions.on(12, side))
        pen.tint(ellipse((side * 49, -16), (34, 17)), dark, 0.3, soft=8.0)
        cheek = ellipse((side * (66 + 3 * squeeze), 56 - 11 * squeeze), (25 + 4 * squeeze, 19 + 3 * squeeze))
        pen.tint(cheek, (214, 110, 96), 0.13 + 0.14 * squeeze, soft=11.0)
        pen.tint(cheek * (1.0, 0.94), bright, 0.2 + 0.25 * squeeze, soft=10.0)
        hollow = ellipse((side * 84, 94), (16, 34))
        pen.tint(hollow, dark, 0.14 + 0.1 * actions.both(26), soft=12.0)
    chin = 158 + identity.chin + geometry.jaw_drop(actions)
    pen.tint(ellipse((0, chin - 6), (24, 12)), bright, 0.4, soft=8.0)


def _paint_eye(pen: Pen, identity: Identity, actions: Actions, side: int, light: Light) -> None:
    eye = geometry.eye(identity, actions, side, light.gaze)
    line = shade(identity.skin, 0.34)
    pen.tint(eye.opening, shade(identity.skin, 0.55), 0.5, soft=3.5)
    # If the whites of the eyes are much brighter than the skin, people and detectors see a mask, not a face.
    pen.fill(eye.opening, shade((232, 226, 220), 0.72 + 0.28 * min(1.0, sum(identity.skin) / 600)))
    with pen.within(eye.opening):
        x, y = eye.iris
        pen.fill(ellipse(eye.iris, (eye.radius, eye.radius)), shade(identity.iris, 0.55))
        pen.fill(ellipse(eye.iris, (eye.radius * 0.86, eye.radius * 0.86)), identity.iris)
        pen.fill(ellipse(eye.iris, (eye.radius * 0.46, eye.radius * 0.46)), (12, 10, 12))
        pen.fill(ellipse((x + 3.5 * (1 if light.side > 0 else -1), y - 4), (2.6, 2.6)), (250, 250, 250))
        pen.tint(ribbon(eye.upper, 9.0, ends=1.0), (30, 22, 24), 0.42, soft=1.8)
    pen.line(eye.lower, line, 2.4, 0.6)
    pen.line(eye.crease, line, 3.0, 0.6, soft=0.5)
    lash = ribbon(eye.upper - (0.0, 1.2), 6.4 if identity.woman else 4.6, ends=0.45)
    pen.fill(lash, (26, 20, 20) if identity.woman else (44, 32, 30))
    if identity.woman:
        tip = eye.upper[-1]
        flick = np.array([eye.upper[-4], np.add(tip, (side * 1.0, -1.0)), np.add(tip, (side * 7.0, -6.0))])
        pen.line(flick, (26, 20, 20), 4.0, 0.9)


def _paint_nose(pen: Pen, identity: Identity, actions: Actions) -> None:
    lines = geometry.nose(identity, actions)
    dark, line = shade(identity.skin, 0.55), shade(identity.skin, 0.32)
    for side in ("left", "right"):
        pen.tint(ribbon(lines[f"{side}_ridge"], 13.0), dark, 0.34, soft=4.5)
        pen.line(lines[f"{side}_wing"], line, 3.6, 0.7, soft=0.7)
        x, y = lines[f"{side}_nostril"][0]
        pen.tint(ellipse((x, y), (6.5, 3.6)), shade(identity.skin, 0.16), 0.9, soft=0.9)
    pen.line(lines["tip"], line, 3.4, 0.6, soft=0.7)
    middle = lines["tip"].mean(axis=0)
    pen.tint(ellipse((0.0, middle[1] + 9), (14, 5)), dark, 0.35, soft=4.0)
    pen.tint(ellipse((0.0, middle[1] - 12), (9, 8)), shade(identity.skin, 1.25), 0.55, soft=4.0)
    pen.tint(ellipse((0.0, middle[1] - 42), (6, 26)), shade(identity.skin, 1.2), 0.4, soft=4.0)


def _paint_mouth(pen: Pen, identity: Identity, actions: Actions) -> None:
    lips = geometry.mouth(identity, actions)
    line = shade(identity.lips, 0.35)
    low = float(lips.lower_outer[16, 1])
    pen.tint(ellipse((0.0, low + 7), (26, 5)), shade(identity.skin, 0.45), 0.45, soft=4.0)
    pen.fill(np.concatenate([lips.upper_outer, lips.upper_inner[::-1]]), shade(identity.lips, 0.86))
    pen.fill(np.concatenate([lips.lower_inner, lips.lower_outer[::-1]]), identity.lips)
    shine = ellipse((0.0, 0.5 * (low + float(lips.lower_inner[16, 1]))), (16, 2.6))
    pen.tint(shine, (255, 226, 220), 0.4, soft=2.2)
    if lips.gap > 2.0:
        _paint_mouth_inside(pen, lips, actions)
    else:
        pen.line(lips.upper_inner, line, 4.2, 1.0, ends=0.5)
    pen.line(lips.upper_outer, line, 1.6, 0.35)
    pen.line(lips.lower_outer, line, 2.2, 0.45)
    for corner in (lips.upper_inner[0], lips.upper_inner[-1]):
        pen.tint(ellipse((corner[0], corner[1]), (4.5, 3.5)), line, 0.6, soft=1.6)


def _paint_mouth_inside(pen: Pen, lips: geometry.Mouth, actions: Actions) -> None:
    pen.fill(lips.opening, (62, 16, 20))
    with pen.within(lips.opening):
        # Pulled or raised lips show the upper teeth; a dropped jaw alone shows less of them.
        upper = min(13.0, 5.0 + 8.0 * max(actions.both(12), actions.both(10), 0.7 * actions.both(20)))
        lower = 9.0 * max(actions.both(16), 0.6 * actions.both(20))
        if actions.both(26) > 0.3:
            tongue = ellipse((0.0, float(lips.lower_inner[16, 1]) + 2), (24, 0.35 * lips.gap))
            pen.tint(tongue, (176, 74, 78), 0.9, soft=2.5)
        teeth: Colour = (240, 236, 226)
        band = np.concatenate([lips.upper_inner - (0.0, 4.0), np.add(lips.upper_inner, (0.0, upper))[::-1]])
        pen.fill(band, teeth)
        if lower > 1.0:
            band = np.concatenate([lips.lower_inner - (0.0, lower), np.add(lips.lower_inner, (0.0, 4.0))[::-1]])
            pen.fill(band, shade(teeth, 0.93))
        pen.tint(ribbon(lips.upper_inner, 5.0, ends=1.0), (40, 12, 14), 0.5, soft=1.5)
    pen.line(lips.upper_inner, (60, 20, 22), 2.0, 0.8, ends=0.5)
    pen.line(lips.lower_inner, (60, 20, 22), 2.0, 0.6, ends=0.5)


def _paint_glasses(pen: Pen) -> None:
    frame: Colour = (36, 32, 34)
    for side in (-1, 1):
        rim = ellipse((side * 51.0, 2.0), (38, 29), steps=48)
        rim = np.concatenate([rim, rim[:2]])
        pen.tint(rim, (255, 255, 255), 0.07)
        pen.fill(ribbon(rim, 4.5, ends=1.0), frame)
        pen.fill(ribbon(np.array([(side * 89.0, -4.0), (side * 112.0, -6.0)]), 5.0, ends=1.0), frame)
    pen.fill(ribbon(curve(np.array([(-14.0, -2.0), (0.0, -8.0), (14.0, -2.0)])), 5.0, ends=1.0), frame)
