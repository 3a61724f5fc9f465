"""The shape of a face: curves in face units, moved by the action units.

Face units: the centres of the eyes are 100 units apart, the origin lies between them, x points right in the picture, y
down. Typical proportions are those of adult anthropometry (eye distance 63 mm, face width 135 mm, mouth width 50 mm).
"""

from dataclasses import dataclass

import numpy as np

from pipeline.standins.actions import Actions
from pipeline.standins.canvas import Points, curve
from pipeline.standins.identity import Identity

EYE_X = 50.0
MOUTH_Y = 106.0


@dataclass(frozen=True)
class Pose:
    """Pose and position of the head.

    Attributes:
        yaw: in radians.
        pitch: in radians.
        roll: in radians.
        unit: pixels per face unit.
        x: column of the origin, in pixels.
        y: row of the origin, in pixels.
    """

    yaw: float
    pitch: float
    roll: float
    unit: float
    x: float
    y: float

    def project(self, points: Points, depth: float | None = None) -> Points:
        """Convert points to pixels.

        Args:
            points: N×2 in face units.
            depth: distance in front of the head's axis, in face units; None: on the front of the face, an upright
                cylinder.
        """
        x, y = points[:, 0], points[:, 1]
        front = 95.0 * np.sqrt(np.maximum(0.0, 1.0 - (x / 165.0) ** 2))
        # The axis of rotation is inside the head, so that the face keeps its position.
        z = (front if depth is None else np.full_like(x, depth)) - 60.0
        turned_x = x * np.cos(self.yaw) + z * np.sin(self.yaw)
        turned_y = y * np.cos(self.pitch) + z * np.sin(self.pitch)
        cos, sin = self.unit * np.cos(self.roll), self.unit * np.sin(self.roll)
        return np.stack([self.x + cos * turned_x - sin * turned_y, self.y + sin * turned_x + cos * turned_y], axis=1)


def jaw_drop(actions: Actions) -> float:
    """Return how far the chin drops, in face units."""
    return 30.0 * actions.both(26)


def head(identity: Identity, actions: Actions) -> Points:
    """Return the closed outline of the head, from the top around the chin."""
    w, j = identity.head_width, identity.jaw_width
    half = np.array(
        [
            (0, -142),
            (50 * w, -136),
            (92 * w, -104),
            (112 * w, -52),
            (113 * w, 4),
            (105 * w * (0.5 + 0.5 * j), 62),
            (86 * w * j, 116),
            (54 * w * j, 156 + 0.7 * identity.chin),
            (24 * j, 174 + identity.chin),
            (0, 177 + identity.chin),
        ],
        np.float64,
    )
    below = np.clip((half[:, 1] - 50) / 125, 0.0, 1.0)
    half[:, 1] += below * (jaw_drop(actions) - 4 * actions.both(17))
    half[:, 0] *= 1.0 - 0.06 * below * actions.both(26)
    left = half[1:-1][::-1] * (-1.0, 1.0)
    return curve(np.concatenate([half, left]), closed=True, steps=6)


def brow(identity: Identity, actions: Actions, side: int) -> tuple[Points, Points]:
    """Return the upper and lower edge of a brow from the inner to the outer end.

    Args:
        identity: the person.
        actions: the face's action units.
        side: -1 left in the picture, +1 right.
    """
    raised, outer, lowered = (actions.on(unit, side) for unit in (1, 2, 4))
    wrinkled, squeezed = actions.on(9, side), actions.on(6, side)
    x = np.array([20.0, 36.0, 54.0, 72.0, 86.0])
    y = np.array([-33.0, -38.0, -41.0, -39.0, -31.0]) - identity.brow_height
    y += np.array([0.0, -1.0, -3.0, -4.0, 0.0]) * identity.brow_arch
    y -= raised * np.array([19.0, 13.0, 6.0, 1.0, -1.0]) + outer * np.array([3.0, 8.0, 15.0, 17.0, 13.0])
    # With AU 1, the corrugator (AU 4) pulls the inner brow inwards but hardly down: the oblique brow of grief.
    pull = lowered * (1.0 - 0.85 * min(1.0, 1.3 * raised))
    y += pull * np.array([21.0, 17.0, 10.0, 4.0, 1.0]) + 3.0 * lowered * raised * np.array([0.0, 0.0, 0.5, 1.5, 2.0])
    y += wrinkled * np.array([11.0, 9.0, 6.0, 3.0, 1.0]) + 2.0 * squeezed
    x -= lowered * np.array([9.0, 6.0, 3.0, 1.0, 0.0]) + wrinkled * np.array([4.0, 3.0, 1.0, 0.0, 0.0])
    thick = np.array([9.5, 10.5, 9.0, 6.5, 1.5]) * identity.brow_thickness
    line = np.stack([side * x, y], axis=1)
    upper = line - np.stack([np.zeros(5), 0.55 * thick], axis=1)
    lower = line + np.stack([np.zeros(5), 0.45 * thick], axis=1)
    return curve(upper), curve(lower)


@dataclass(frozen=True)
class Eye:
    """The lines of an eye, each from the inner to the outer corner, in face units.

    Attributes:
        upper: edge of the upper lid.
        lower: edge of the lower lid.
        crease: fold above the upper lid.
        iris: centre of the iris.
        radius: radius of the iris.
    """

    upper: Points
    lower: Points
    crease: Points
    iris: tuple[float, float]
    radius: float

    @property
    def opening(self) -> Points:
        """The closed outline between the lids."""
        return np.concatenate([self.upper, self.lower[::-1][1:-1]])


def eye(identity: Identity, actions: Actions, side: int, gaze: tuple[float, float]) -> Eye:
    """Return the lines of an eye.

    Args:
        identity: the person.
        actions: the face's action units.
        side: -1 left in the picture, +1 right.
        gaze: shift of the iris, in face units.
    """
    wide, squeezed, tight, wrinkled = (actions.on(unit, side) for unit in (5, 6, 7, 9))
    size = identity.eye_size
    top = 12.0 * size + 6.5 * wide - 4.0 * tight - 3.5 * wrinkled - 2.0 * squeezed - 2.5 * actions.on(4, side)
    bottom = 8.0 * size + 1.0 * wide - 5.0 * tight - 5.0 * squeezed - 3.5 * wrinkled
    # A raised inner brow, as in grief, pulls up the inner end of the upper lid and lets the outer end droop.
    slant = 4.0 * actions.on(1, side) * (1.0 - actions.on(2, side)) * (1.0 - wide)
    top, bottom = max(top, 3.5), max(bottom, 0.5)
    half = 30.0 * (0.6 + 0.4 * size)
    t = np.linspace(-1.0, 1.0, 17)
    bow = 1.0 - np.abs(t) ** 2.2
    x = side * (EYE_X + half * t)
    tilt = -identity.eye_tilt * t
    upper = np.stack([x, tilt - top * bow * (1.0 - 0.12 * t) + slant * t * (1.0 - 0.3 * np.abs(t))], axis=1)
    lower = np.stack([x, tilt + bottom * bow * (1.0 + 0.12 * t) + slant * t * (1.0 - 0.3 * np.abs(t))], axis=1)
    gap = max(7.0 + 2.0 * actions.on(1, side) - 5.0 * wide + 1.5 * actions.on(2, side) - 3.0 * wrinkled, 2.5)
    crease = np.stack([x * 1.01, upper[:, 1] - gap * (0.35 + 0.65 * bow)], axis=1)
    return Eye(upper, lower, crease[2:], (side * EYE_X + gaze[0], -2.0 + gaze[1]), 12.2 * (0.5 + 0.5 * size))


@dataclass(frozen=True)
class Mouth:
    """Outer and inner edges of the lips, all from the left to the right corner in the picture, in face units.

    Attributes:
        upper_outer: upper edge of the upper lip.
        upper_inner: lower edge of the upper lip.
        lower_inner: upper edge of the lower lip.
        lower_outer: lower edge of the lower lip.
    """

    upper_outer: Points
    upper_inner: Points
    lower_inner: Points
    lower_outer: Points

    @property
    def opening(self) -> Points:
        """The closed outline between the lips."""
        return np.concatenate([self.upper_inner, self.lower_inner[::-1][1:-1]])

    @property
    def gap(self) -> float:
        """Height of the opening in the middle."""
        middle = len(self.upper_inner) // 2
        return float(self.lower_inner[middle, 1] - self.upper_inner[middle, 1])


def mouth(identity: Identity, actions: Actions) -> Mouth:
    """Return the lips of a person with these action units."""
    a = actions.both
    gap = 11.0 * a(25) + 29.0 * a(26) + 5.0 * a(16) * a(25)
    corners = [_corner(identity, actions, side, gap) for side in (-1, 1)]
    t = np.linspace(-1.0, 1.0, 33)
    width = np.where(t < 0, -corners[0][0], corners[1][0])
    corner_y = np.where(t < 0, corners[0][1], corners[1][1])
    raised = np.where(t < 0, actions.on(10, -1), actions.on(10, 1)) + 0.5 * a(9)
    middle = MOUTH_Y + identity.mouth_height - 3.5 * a(17) - 2.0 * a(12) - 5.0 * raised - 3.0 * a(25) - 2.0 * a(26)
    shoulder = np.sin(np.pi * np.minimum(1.0, np.abs(t)))
    upper_inner = middle + (corner_y - middle) * np.abs(t) ** 1.9 - 6.0 * raised * shoulder
    floor = middle + gap
    lower_inner = floor + (corner_y - floor) * np.abs(t) ** (2.3 if gap > 4 else 1.9)
    lower_inner += shoulder * (5.0 * a(16) - 4.0 * raised) * min(1.0, gap / 6.0) - 6.0 * raised * shoulder * (gap <= 4)
    lower_inner = np.maximum(lower_inner, upper_inner)
    thin = max(0.25, 1.0 - 0.55 * a(23) - 0.6 * a(24) - 0.2 * a(12) - 0.2 * a(20))
    bow = 1.0 - 0.22 * np.exp(-((t / 0.12) ** 2)) + 0.1 * np.exp(-(((np.abs(t) - 0.25) / 0.15) ** 2))
    upper = 9.5 * identity.lip_fullness * thin * (1.0 - np.abs(t) ** 1.7) * bow + 0.8
    lower = 13.5 * identity.lip_fullness * thin * (1.0 - np.abs(t) ** 2.4) * (1.0 + 0.15 * a(17) + 0.1 * a(16)) + 0.8
    edges = (upper_inner - upper, upper_inner, lower_inner, lower_inner + lower)
    return Mouth(*(np.stack([t * width, edge], axis=1) for edge in edges))


def _corner(identity: Identity, actions: Actions, side: int, gap: float) -> tuple[float, float]:
    pulled, down, stretched = (actions.on(unit, side) for unit in (12, 15, 20))
    tight, pressed, jaw, raised = (actions.on(unit, side) for unit in (23, 24, 26, 17))
    x = 41.0 * identity.mouth_width + 16.0 * pulled + 17.0 * stretched + 2.0 * down
    x -= 9.0 * tight + 5.0 * pressed + 11.0 * jaw * (1.0 - max(stretched, pulled)) + 3.0 * raised
    y = MOUTH_Y + identity.mouth_height - 16.0 * pulled + 14.0 * down + 5.0 * stretched + 0.35 * gap
    return side * x, y


def nose(identity: Identity, actions: Actions) -> dict[str, Points]:
    """Return the nose's lines by name: ridges, wings, centres of the nostrils (one point each), edge below the tip."""
    lift = 7.0 * actions.both(9) + 2.5 * actions.both(10)
    base = 66.0 + identity.nose_length - lift
    half = 25.0 * identity.nose_width * (1.0 + 0.13 * actions.both(9) + 0.08 * actions.both(12))
    lines: dict[str, Points] = {}
    for side, name in ((-1, "left"), (1, "right")):
        wing = [(half * 0.82, base - 17), (half * 1.02, base - 9), (half * 0.98, base - 1), (half * 0.7, base + 2)]
        lines[f"{name}_wing"] = curve(np.array(wing) * (side, 1.0))
        lines[f"{name}_nostril"] = np.array([(side * half * 0.45, base + 0.5)])
        lines[f"{name}_ridge"] = curve(np.array([(13, -14), (10, 8), (11, 32), (17, base - 18)]) * (side, 1.0))
    tip = [(-half * 0.5, base + 1), (-half * 0.22, base + 5), (half * 0.22, base + 5), (half * 0.5, base + 1)]
    lines["tip"] = curve(np.array(tip))
    return lines
