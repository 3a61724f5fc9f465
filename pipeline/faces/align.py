"""Similarity alignment: turn, scale and shift a face so that its five landmarks lie where the template has them."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config.pictures import Upscale
from pipeline.data.crops import CROP_SIZE
from pipeline.faces.crop import INTERPOLATION, Image, resize

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Eyes, nose and mouth corners in the 112×112 crop in common use (ArcFace, Deng et al., CVPR 2019); 5×2, pixels."""


def aligned(image: Image, landmarks: NDArray[np.floating], margin: float, upscale: Upscale = "cubic") -> Image:
    """The face with ``landmarks`` (5×2, x and y in pixels of ``image``, uint8 H×W×3) as uint8 112×112×3.

    ``margin``: widening of the crop on each side, as a share of its side. Beyond the picture its edge is continued.
    """
    image, matrix = _around(image, similarity(landmarks, widened(TEMPLATE, margin)))
    # One pixel of the crop then takes the average of whole pixels, not a sample of them.
    factor = int(min(1.0 / max(np.hypot(*matrix[:, 0]), 1e-6), *image.shape[:2]))
    if factor > 1:
        height, width = (-(-side // factor) for side in image.shape[:2])
        below, beside = height * factor - image.shape[0], width * factor - image.shape[1]
        padded = cv2.copyMakeBorder(image, 0, below, 0, beside, cv2.BORDER_REPLICATE)
        image = resize(np.asarray(padded, dtype=np.uint8), width, height)
        # The centre of a small pixel is that of its ``factor`` large ones: x = factor · x' + (factor − 1) / 2.
        matrix = np.column_stack([matrix[:, :2] * factor, matrix @ [(factor - 1) / 2.0, (factor - 1) / 2.0, 1.0]])
    taken = cv2.warpAffine(
        image, matrix, (CROP_SIZE, CROP_SIZE), flags=INTERPOLATION[upscale], borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(taken, dtype=np.uint8)


def _around(image: Image, matrix: NDArray[np.float64]) -> tuple[Image, NDArray[np.float64]]:
    """The part of the picture that the crop shows, and its matrix: OpenCV warps no side of over 32,766 pixels."""
    corners = np.array([[x, y, 1.0] for x in (0, CROP_SIZE) for y in (0, CROP_SIZE)])
    seen = corners @ cv2.invertAffineTransform(matrix).T
    last = np.array(image.shape[1::-1]) - 1
    reach = 8.0 * max(1.0, 1.0 / max(np.hypot(*matrix[:, 0]), 1e-6))  # of the interpolation
    left, top = np.clip(np.floor(seen.min(axis=0) - reach), 0, last).astype(int)
    right, bottom = np.clip(np.ceil(seen.max(axis=0) + reach), 0, last).astype(int)
    shifted = np.column_stack([matrix[:, :2], matrix @ [left, top, 1.0]])
    return image[top : bottom + 1, left : right + 1], shifted


def widened(template: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    """The template of a crop that shows ``margin`` more on each side."""
    centre = (CROP_SIZE - 1) / 2.0
    return centre + (template - centre) / (1.0 + 2.0 * margin)


def similarity(points: NDArray[np.floating], template: NDArray[np.floating]) -> NDArray[np.float64]:
    """The rotation, scale and shift that bring ``points`` nearest to ``template`` in the least-squares sense.

    Both n×2; returns the 2×3 matrix [[a, −b, c], [b, a, d]]. All points in one place: they only shift.
    """
    x, y = np.asarray(points, dtype=np.float64).T
    ones, zeros = np.ones_like(x), np.zeros_like(x)
    equations = np.concatenate([np.stack([x, -y, ones, zeros], axis=1), np.stack([y, x, zeros, ones], axis=1)])
    if np.ptp(x) == np.ptp(y) == 0.0:
        return np.column_stack([np.eye(2), template.mean(axis=0) - [x[0], y[0]]])
    (a, b, c, d), *_ = np.linalg.lstsq(equations, np.asarray(template, dtype=np.float64).T.ravel(), rcond=None)
    return np.array([[a, -b, c], [b, a, d]])
