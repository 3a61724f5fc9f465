"""Drawing one picture of a set: background, heads, lens, exposure, noise."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.standins.actions import Actions, sample_peak, sample_rest
from pipeline.standins.canvas import Canvas, interleaved, planes
from pipeline.standins.face import Light, paint_head
from pipeline.standins.geometry import Pose
from pipeline.standins.identity import Identity, sample_identity
from pipeline.standins.layouts import Shot, generator
from pipeline.standins.styles import Range, Style

_DRAWN_EYES = 80.0
"""Minimum distance of the eyes on the canvas, in pixels. In smaller drawings thin lines would be lost."""


def actions_of(shot: Shot, style: Style, seed: int, dataset: str) -> Actions:
    """Return the action units of a shot. Over the frames of a scene they grow in proportion to ``share``."""
    rng = generator(seed, dataset, "acting", shot.scene)
    peak = sample_peak(shot.expression, style.acting, rng)
    return sample_rest(peak, style.acting, rng).towards(peak, shot.share)


def draw_picture(shot: Shot, style: Style, seed: int, dataset: str) -> NDArray[np.uint8]:
    """Draw one picture.

    Args:
        shot: what it shows.
        style: the look of the set.
        seed: seed of all random numbers.
        dataset: the set's name, on which the random numbers depend too.

    Returns:
        uint8 H×W×3 RGB, or H×W if the style is grey.
    """
    scene = generator(seed, dataset, "scene", shot.scene)
    film = scene if shot.film is None else generator(seed, dataset, "film", shot.film)
    identity = sample_identity(style.cast, generator(seed, dataset, "subject", shot.subject))
    actions = actions_of(shot, style, seed, dataset)
    frame = generator(seed, dataset, "frame", shot.scene, shot.frame)

    picture = _background(style, scene)
    light = Light(float(scene.uniform(-1, 1)), _draw(style.hardness, scene), _gaze(scene))
    ink = _draw(style.ink, scene)
    pose = _pose(style, scene, frame)
    if scene.random() < style.extra:
        _paint_passer_by(picture, style, scene, pose, light)
    _place(picture, identity, actions, pose, light, ink)
    return _expose(picture, style, film, scene, frame)


def _draw(bounds: Range, rng: np.random.Generator) -> float:
    return float(rng.uniform(*bounds))


def _gaze(rng: np.random.Generator) -> tuple[float, float]:
    x, y = np.clip(rng.normal(0.0, (2.5, 1.0)), -6.0, 6.0)
    return float(x), float(y)


def _pose(style: Style, scene: np.random.Generator, frame: np.random.Generator) -> Pose:
    yaw, pitch, roll = np.clip(scene.normal(size=3), -1.8, 1.8) * (style.yaw, style.pitch, style.roll)
    unit = _draw(style.eyes, scene) / 100.0
    x, y = _draw(style.centre_x, scene) * style.width, _draw(style.centre_y, scene) * style.height
    # Between the frames of a sequence the head moves slightly.
    moved = frame.normal(size=5) * (0.01, 0.01, 0.006, 0.8 * unit, 0.8 * unit)
    return Pose(yaw + moved[0], pitch + moved[1], roll + moved[2], unit, x + moved[3], y + moved[4])


def _paint_passer_by(
    picture: NDArray[np.uint8], style: Style, rng: np.random.Generator, pose: Pose, light: Light
) -> None:
    """Draw a smaller second person behind the first, on the emptier side of the picture."""
    identity = sample_identity(style.cast, rng)
    actions = sample_peak("neutral", style.acting, rng)
    unit = pose.unit * float(rng.uniform(0.5, 0.65))
    left = pose.x > style.width / 2
    x = float(rng.uniform(0.1, 0.2)) * style.width
    y = pose.y + float(rng.uniform(-30, 30)) * pose.unit
    _place(picture, identity, actions, Pose(0.1, 0.0, 0.0, unit, x if left else style.width - x, y), light, 0.5)


def _place(
    picture: NDArray[np.uint8], identity: Identity, actions: Actions, pose: Pose, light: Light, ink: float
) -> None:
    """Draw an enlarged head, shrink it, and composite it onto the picture.

    Args:
        picture: uint8 H×W×3 RGB; changed in place.
        identity: the person.
        actions: the face's action units.
        pose: pose of the head, in the picture's pixels.
        light: light on the face.
        ink: factor on the strength of lines and wrinkles.
    """
    height, width = picture.shape[:2]
    factor = int(np.clip(np.ceil(_DRAWN_EYES / (100.0 * pose.unit)), 1, 4))
    left, top = (max(0, int(v)) for v in (pose.x - 350 * pose.unit, pose.y - 260 * pose.unit))
    right, bottom = min(width, int(pose.x + 350 * pose.unit) + 1), height
    canvas = Canvas((bottom - top) * factor, (right - left) * factor)
    drawn = Pose(pose.yaw, pose.pitch, pose.roll, pose.unit * factor, (pose.x - left) * factor, (pose.y - top) * factor)
    paint_head(canvas, identity, actions, drawn, light, ink)
    patch = np.asarray(cv2.resize(canvas.pixels, (right - left, bottom - top), interpolation=cv2.INTER_AREA), np.uint8)
    region = picture[top:bottom, left:right]
    head, behind = planes(patch), planes(region)
    behind *= 255 - head[3]
    behind //= 255
    behind += head[:3]
    region[:] = interleaved(np.minimum(behind, 255, out=behind))


def _background(style: Style, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return coarse coloured patches with smooth transitions, uint8 H×W×3 RGB."""
    size = (style.width, style.height)
    if style.background == "lab":
        base = rng.uniform(120, 190) + rng.uniform(-8, 8, (1, 1, 3))
        coarse = np.clip(base + rng.uniform(-14, 14, (2, 3, 1)), 0, 255)
    elif style.background == "film":
        coarse = np.clip(rng.uniform(15, 90, (5, 6, 1)) + rng.uniform(-15, 25, (5, 6, 3)), 0, 255)
        lamps = rng.random((5, 6, 1)) < 0.08
        coarse = np.where(lamps, (235.0, 205.0, 150.0), coarse)
    else:
        coarse = np.clip(rng.uniform(40, 210, (4, 4, 1)) + rng.uniform(-45, 45, (4, 4, 3)), 0, 255)
    return np.asarray(cv2.resize(coarse.astype(np.uint8), size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _expose(
    picture: NDArray[np.uint8],
    style: Style,
    film: np.random.Generator,
    scene: np.random.Generator,
    frame: np.random.Generator,
) -> NDArray[np.uint8]:
    """Apply the camera's lens blur, vignette, exposure, gamma, contrast, saturation and noise.

    Args:
        picture: uint8 H×W×3 RGB.
        style: the ranges of these effects.
        film: random numbers for light and colours.
        scene: random numbers for blur and noise.
        frame: random numbers for the grain.

    Returns:
        uint8 H×W×3 RGB, or H×W if the style is grey.
    """
    exposure, gamma, contrast = _draw(style.exposure, film), _draw(style.gamma, film), _draw(style.contrast, film)
    saturation, tint = _draw(style.saturation, film), film.uniform(1 - style.tint, 1 + style.tint, 3)
    blur, noise = _draw(style.blur, scene), _draw(style.noise, scene)
    if blur > 0.2:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), blur), np.uint8)
    levels = np.clip(exposure * np.arange(256) / 255, 0, 1) ** gamma
    table = np.clip(255 * (0.5 + contrast * (levels - 0.5)), 0, 255).round().astype(np.uint8)
    picture = np.asarray(cv2.LUT(picture, table), np.uint8)
    grain = noise * frame.standard_normal(picture.shape[:2], np.float32)
    gain = _vignette(style)
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8).astype(np.float32)
    if not style.colour:
        return np.clip(np.rint(grey * gain + grain), 0, 255).astype(np.uint8)
    colour = grey + np.float32(saturation) * (planes(picture) - grey)
    colour = colour * tint.astype(np.float32)[:, None, None] * gain + grain
    return interleaved(np.clip(np.rint(colour), 0, 255))


def _vignette(style: Style) -> NDArray[np.float32]:
    y = np.linspace(-1, 1, style.height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, style.width, dtype=np.float32)[None, :]
    return (1 - np.float32(style.vignette) * (x * x + y * y) / 2).astype(np.float32)
