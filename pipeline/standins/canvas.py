"""A canvas with an alpha channel: filled shapes, soft shapes and tapering strokes.

Coordinates are rounded to 1/16 pixel, and colours are mixed in integers. So the pixels do not depend on how a machine
rounds floating-point numbers.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.standins.identity import Colour

Points = NDArray[np.float64]
"""float64 N×2, x and y."""

_SHIFT = 4


class Canvas:
    """A picture that is initially transparent.

    Attributes:
        pixels: uint8 H×W×4: RGB, premultiplied by the alpha in the fourth channel.
    """

    def __init__(self, height: int, width: int) -> None:
        self.pixels: NDArray[np.uint8] = np.zeros((height, width, 4), np.uint8)
        self._origin: NDArray[np.float64] = np.zeros(2)

    def paint(self, shape: Points, colour: Colour, opacity: float = 1.0, soft: float = 0.0) -> None:
        """Fill a polygon.

        An opaque shape with a hard edge adds to the drawing. One with ``opacity`` < 1 or ``soft`` > 0 only tints
        existing parts.

        Args:
            shape: the polygon's corners, in pixels.
            colour: RGB.
            opacity: 0 to 1.
            soft: standard deviation of the edge, in pixels.
        """
        shape = shape - self._origin
        if opacity >= 1.0 and soft == 0.0:
            cv2.fillPoly(self.pixels, [_fixed(shape)], (*colour, 255), cv2.LINE_AA, _SHIFT)
            return
        region = self._region(shape, 3.0 * soft + 2.0)
        if region is None:
            return
        rows, columns = region
        mask = _mask(shape - (columns.start, rows.start), rows, columns, round(255 * opacity))
        if soft > 0.0:
            mask = _blurred(mask, soft)
        under = self.pixels[rows, columns]
        mixed, opaque = planes(under), mask.astype(np.uint16)
        # Colours on the canvas are premultiplied by alpha, so the tint must be too.
        share = opaque * mixed[3] // 255
        mixed[:3] *= 255 - opaque
        mixed[:3] += np.multiply.outer(np.array(colour, np.uint16), share)
        mixed[:3] += 127
        mixed[:3] //= 255
        under[:] = interleaved(mixed)

    @contextmanager
    def within(self, shape: Points) -> Iterator[None]:
        """Clip everything that is painted in this context to a polygon (corners in pixels)."""
        region = self._region(shape - self._origin, 2.0)
        if region is None:
            # The shape lies outside the canvas, so nothing inside it is visible.
            yield
            return
        rows, columns = region
        whole, origin, before = self.pixels, self._origin, self.pixels[rows, columns]
        self.pixels, self._origin = before.copy(), np.add(origin, (columns.start, rows.start))
        yield
        after, mask = self.pixels, _mask(shape - self._origin, rows, columns, 255)
        self.pixels, self._origin = whole, origin
        mixed, inside = planes(after), mask.astype(np.uint16)
        mixed *= inside
        mixed += planes(before) * (255 - inside)
        mixed += 127
        mixed //= 255
        before[:] = interleaved(mixed)

    def _region(self, shape: Points, border: float) -> tuple[slice, slice] | None:
        height, width = self.pixels.shape[:2]
        left, top = np.floor(shape.min(axis=0) - border).astype(int)
        right, bottom = np.ceil(shape.max(axis=0) + border).astype(int)
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
        if left >= right or top >= bottom:
            return None
        return slice(top, bottom), slice(left, right)


def planes(pixels: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Split a picture into channels: NumPy mixes whole channels several times faster than pixels.

    Args:
        pixels: uint8 H×W×C.

    Returns:
        uint16 C×H×W.
    """
    return np.stack(cv2.split(pixels)).astype(np.uint16)


def interleaved(mixed: NDArray[np.uint16] | NDArray[np.float32]) -> NDArray[np.uint8]:
    """Merge channels (C×H×W, integers up to 255) into a picture, uint8 H×W×C."""
    return np.asarray(cv2.merge([*mixed.astype(np.uint8)]), np.uint8)


def curve(points: Points, closed: bool = False, steps: int = 8) -> Points:
    """Return a Catmull-Rom spline through points, with ``steps`` points per segment."""
    if closed:
        padded = np.concatenate([points[-1:], points, points[:2]])
    else:
        padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = (np.arange(steps) / steps)[None, :, None]
    p0, p1, p2, p3 = (padded[i : len(padded) - 3 + i, None, :] for i in range(4))
    pieces = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * (p1 - p2) + p3 - p0) * t**3)
    line = pieces.reshape(-1, 2)
    return line if closed else np.concatenate([line, points[-1:]])


def ellipse(centre: tuple[float, float], radii: tuple[float, float], steps: int = 40) -> Points:
    """Return a polygon that approximates an ellipse with upright axes."""
    angles = 2 * np.pi * np.arange(steps) / steps
    return np.stack([centre[0] + radii[0] * np.cos(angles), centre[1] + radii[1] * np.sin(angles)], axis=1)


def ribbon(line: Points, width: float, ends: float = 0.25) -> Points:
    """Return the polygon of a stroke along a line; at its ends the width is the share ``ends`` of the full width."""
    along = np.gradient(line, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.maximum(np.hypot(*along.T), 1e-6)[:, None]
    t = np.linspace(0.0, 1.0, len(line))
    half = 0.5 * width * (ends + (1 - ends) * 4 * t * (1 - t))[:, None]
    return np.concatenate([line + normal * half, (line - normal * half)[::-1]])


def _blurred(mask: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    """Blur a mask by a Gaussian. Wide blurs are computed at 1/4 of the size: they look the same and are much faster."""
    height, width = mask.shape
    if sigma < 6.0 or min(height, width) < 16:
        return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.uint8)
    small = cv2.resize(mask, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / 4)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _mask(shape: Points, rows: slice, columns: slice, value: int) -> NDArray[np.uint8]:
    mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    cv2.fillPoly(mask, [_fixed(shape)], (value,), cv2.LINE_AA, _SHIFT)
    return mask


def _fixed(shape: Points) -> NDArray[np.int32]:
    return np.round(shape * (1 << _SHIFT)).astype(np.int32)
