"""Simulated cameras: rotation, zoom, blur, changed grey levels, shading, resolution, noise and compression."""

from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline.config.section import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt, Section


class Camera(Section):
    """The parameters of a camera. Grey levels g from 0 to 255 become 255·(g/255)^gamma·contrast + lift.

    Attributes:
        rotation: range of the rotation of a picture, in degrees.
        zoom: range of the zoom factor of a picture.
        blur: standard deviation of the Gaussian blur, as a share of the shorter side.
        gamma: see above.
        contrast: see above.
        lift: see above, in grey levels.
        shade: how much darker the left edge is than the right one, as a share; linear in between.
        resolution: shorter side of the camera's picture, in pixels, which is then enlarged; None, or more than the
            picture has: that of the picture.
        noise: standard deviation of the noise in grey levels; equal in all three channels.
        jpeg: quality of the compression of the camera's picture, from 1 to 100; None: not compressed.
    """

    rotation: tuple[float, float] = (-12.0, 12.0)
    zoom: tuple[PositiveFloat, PositiveFloat] = (0.9, 1.05)
    blur: NonNegativeFloat = 1 / 48
    gamma: PositiveFloat = 1.5
    contrast: PositiveFloat = 0.7
    lift: NonNegativeFloat = 40.0
    shade: Fraction = 0.0
    resolution: PositiveInt | None = None
    noise: NonNegativeFloat = 6.0
    jpeg: Annotated[int, Field(ge=1, le=100)] | None = None

    def show(self, picture: NDArray[np.uint8], draw: np.random.Generator) -> NDArray[np.uint8]:
        """Simulate the camera's view of a picture.

        Args:
            picture: uint8 H×W×3.
            draw: random generator of rotation, zoom and noise.

        Returns:
            uint8 of the same shape; grey pictures remain grey.
        """
        height, width = picture.shape[:2]
        centre = width / 2 - 0.5, height / 2 - 0.5
        rotation = cv2.getRotationMatrix2D(centre, draw.uniform(*self.rotation), draw.uniform(*self.zoom))
        seen = cv2.warpAffine(picture.astype(np.float32), rotation, (width, height), borderMode=cv2.BORDER_REFLECT_101)
        if self.blur:
            seen = cv2.GaussianBlur(seen, (0, 0), self.blur * min(height, width))
        # Interpolation may give values slightly below 0, for which the power is undefined.
        lit = 255.0 * (np.maximum(seen, 0.0) / 255.0) ** self.gamma * self.contrast + self.lift
        shaded = lit * np.linspace(1.0 - self.shade, 1.0, width)[None, :, None] if self.shade else lit
        smaller = self.resolution is not None and self.resolution < min(height, width)
        if smaller:
            scale = self.resolution / min(height, width)
            size = max(1, round(width * scale)), max(1, round(height * scale))
            shaded = np.asarray(cv2.resize(shaded, size, interpolation=cv2.INTER_AREA), np.float64)
        noisy = shaded + draw.normal(0.0, self.noise, (*shaded.shape[:2], 1))
        taken = np.clip(noisy, 0.0, 255.0).round().astype(np.uint8)
        stored = _compressed(taken, self.jpeg) if self.jpeg else taken
        if not smaller:
            return stored
        return np.asarray(cv2.resize(stored, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _compressed(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Return what JPEG of this quality keeps of a picture, uint8 H×W×3 in RGB."""
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, quality))
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)
