"""Hair, beards and moustaches."""

from collections.abc import Sequence

import numpy as np

from pipeline.standins.actions import Actions
from pipeline.standins.canvas import Points, curve, ellipse, ribbon
from pipeline.standins.geometry import jaw_drop, mouth
from pipeline.standins.identity import Identity
from pipeline.standins.pen import Pen, shade

COVERS_EARS = ("long", "bob", "fringe")
"""Hair styles that cover the ears."""

_HAIRLINES: dict[str, list[tuple[float, float]]] = {
    "short": [
        (104, -30),
        (100, -62),
        (78, -92),
        (38, -104),
        (0, -102),
        (-38, -104),
        (-78, -92),
        (-100, -62),
        (-104, -30),
    ],
    "parted": [
        (104, -22),
        (98, -56),
        (64, -84),
        (10, -98),
        (-40, -112),
        (-66, -98),
        (-92, -72),
        (-100, -52),
        (-104, -22),
    ],
    "receding": [
        (106, -26),
        (100, -66),
        (82, -108),
        (52, -124),
        (0, -112),
        (-52, -124),
        (-82, -108),
        (-100, -66),
        (-106, -26),
    ],
    "long": [
        (108, 20),
        (100, -40),
        (72, -82),
        (30, -106),
        (0, -122),
        (-30, -106),
        (-72, -82),
        (-100, -40),
        (-108, 20),
    ],
    "bob": [
        (110, 40),
        (101, -30),
        (70, -76),
        (34, -92),
        (-26, -112),
        (-60, -98),
        (-84, -70),
        (-101, -30),
        (-110, 40),
    ],
    "bun": [
        (106, -20),
        (100, -58),
        (76, -92),
        (40, -110),
        (0, -114),
        (-40, -110),
        (-76, -92),
        (-100, -58),
        (-106, -20),
    ],
    "fringe": [
        (108, 24),
        (102, -26),
        (92, -56),
        (46, -62),
        (0, -64),
        (-46, -62),
        (-92, -56),
        (-102, -26),
        (-108, 24),
    ],
}
"""The line between hair and forehead from the right to the left temple, in face units."""


def paint_back_hair(pen: Pen, identity: Identity) -> None:
    """Draw the hair behind the head."""
    dark = shade(identity.hair, 0.72)
    w = identity.head_width
    if identity.hair_style in ("long", "fringe"):
        half = [(0, -172), (84, -158), (130, -100), (142, -20), (140, 90), (148, 190), (118, 262), (40, 270)]
        pen.fill(_mirrored(half, w), dark, depth=-20.0)
    elif identity.hair_style == "bob":
        half = [(0, -172), (86, -156), (132, -98), (142, -20), (144, 70), (128, 138), (60, 150)]
        pen.fill(_mirrored(half, w), dark, depth=-20.0)
    elif identity.hair_style == "bun":
        pen.fill(ellipse((0, -182), (48, 40)), dark, depth=-20.0)


def paint_front_hair(pen: Pen, identity: Identity) -> None:
    """Draw the hair above the forehead and on the temples."""
    if identity.hair_style == "bald":
        return
    w = identity.head_width
    volume = {"short": 10.0, "parted": 18.0, "receding": 4.0, "bun": 10.0}.get(identity.hair_style, 24.0)
    temple = _HAIRLINES[identity.hair_style][0][1]
    side = 113.0 + 0.4 * volume
    top = [(-side, temple), (-side, -52), (-94, -112 - 0.5 * volume), (-50, -138 - volume), (0, -143 - volume)]
    top += [(-x, y) for x, y in top[-2::-1]]
    hairline = curve(np.array(_HAIRLINES[identity.hair_style], np.float64) * (w, 1.0))
    crown = curve(np.array(top, np.float64) * (w, 1.0))
    pen.fill(np.concatenate([crown, hairline]), identity.hair, depth=25.0)
    for share in (0.2, 0.4, 0.6, 0.8):
        strand = _resampled(crown) + share * (_resampled(hairline[::-1]) - _resampled(crown))
        bright = share in (0.4, 0.8)
        pen.line(strand, shade(identity.hair, 1.5 if bright else 0.6), 7.0, 0.45, soft=2.0, depth=25.0)


def paint_facial_hair(pen: Pen, identity: Identity, actions: Actions) -> None:
    """Draw stubble, moustache or beard."""
    if identity.facial_hair == "none":
        return
    hair = shade(identity.hair, 0.9)
    lips = mouth(identity, actions)
    top = lips.upper_outer
    if identity.facial_hair in ("moustache", "beard"):
        line = top[2:-2] - (0.0, 5.0)
        pen.tint(ribbon(line, 13.0, ends=0.35), hair, 0.85, soft=2.0)
    drop = jaw_drop(actions)
    outer = [(-112, 40), (-100, 100), (-66, 150 + drop), (0, 186 + drop), (66, 150 + drop), (100, 100), (112, 40)]
    inner = [(96, 44), (78, 84), (56, 118), (30, 136 + 0.8 * drop), (0, 138 + 0.8 * drop)]
    inner += [(-x, y) for x, y in inner[-2::-1]]
    shape = np.concatenate([curve(np.array(outer, float)), curve(np.array(inner, float))])
    if identity.facial_hair == "beard":
        pen.tint(shape, hair, 0.85, soft=4.0)
    elif identity.facial_hair == "stubble":
        pen.tint(shape, hair, 0.3, soft=7.0)


def _resampled(line: Points, points: int = 17) -> Points:
    old, new = np.linspace(0.0, 1.0, len(line)), np.linspace(0.0, 1.0, points)
    return np.stack([np.interp(new, old, line[:, 0]), np.interp(new, old, line[:, 1])], axis=1)


def _mirrored(half: Sequence[tuple[float, float]], width: float) -> Points:
    left = [(-x, y) for x, y in half[:0:-1]]
    return curve(np.array([*half, *left], np.float64) * (width, 1.0), closed=True, steps=5)
