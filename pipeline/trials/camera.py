"""Cameras that show a picture otherwise: turned, zoomed, blurred, in other greys, lit from one side, noisy."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config.section import Fraction, NonNegativeFloat, PositiveFloat, Section


class Camera(Section):
    """How a camera shows pictures. Grey levels g from 0 to 255 become 255·(g/255)^gamma·contrast + lift.

    Attributes:
        rotation: in degrees, drawn from this range for each picture.
        zoom: factor, drawn from this range for each picture.
        blur: standard deviation, as a share of the shorter side.
        gamma: see above.
        contrast: see above.
        lift: in grey levels.
        shade: how much darker the left edge is than the right one, as a share; linear between them.
        noise: standard deviation in grey levels, the same in all three channels.
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
        """The picture as this camera might show it.

        Args:
            picture: uint8 H×W×3.
            draw: where rotation, zoom and noise are drawn from.

        Returns:
            uint8 of the same shape; grey stays grey.
        """
        height, width = picture.shape[:2]
        centre = width / 2 - 0.5, height / 2 - 0.5
        rotation = cv2.getRotationMatrix2D(centre, draw.uniform(*self.rotation), draw.uniform(*self.zoom))
        seen = cv2.warpAffine(picture.astype(np.float32), rotation, (width, height), borderMode=cv2.BORDER_REFLECT_101)
        if self.blur:
            seen = cv2.GaussianBlur(seen, (0, 0), self.blur * min(height, width))
        # Interpolation may end a hair below 0, of which no power is defined.
        lit = 255.0 * (np.maximum(seen, 0.0) / 255.0) ** self.gamma * self.contrast + self.lift
        shaded = lit * np.linspace(1.0 - self.shade, 1.0, width)[None, :, None] if self.shade else lit
        noisy = shaded + draw.normal(0.0, self.noise, (height, width, 1))
        return np.clip(noisy, 0.0, 255.0).round().astype(np.uint8)
