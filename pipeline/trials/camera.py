"""Simulated cameras: rotation, zoom, blur, changed grey levels, shading and noise."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config.section import Fraction, NonNegativeFloat, PositiveFloat, Section


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
        noise: standard deviation of the noise in grey levels; equal in all three channels.
    """

    rotation: tuple[float, float] = (-12.0, 12.0)
    zoom: tuple[PositiveFloat, PositiveFloat] = (0.9, 1.05)
    blur: NonNegativeFloat = 1 / 48
    gamma: PositiveFloat = 1.5
    contrast: PositiveFloat = 0.7
    lift: NonNegativeFloat = 40.0
    shade: Fraction = 0.0
    noise: NonNegativeFloat = 6.0

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
        noisy = shaded + draw.normal(0.0, self.noise, (height, width, 1))
        return np.clip(noisy, 0.0, 255.0).round().astype(np.uint8)
