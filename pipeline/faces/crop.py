"""From a face in a picture to the crop that the networks see."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config.pictures import Upscale
from pipeline.data.crops import CROP_SIZE

Image = NDArray[np.uint8]

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels."""

INTERPOLATION = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "lanczos": cv2.INTER_LANCZOS4}


def crop(image: Image, box: Box, margin: float, upscale: Upscale = "cubic") -> Image:
    """The box's part of ``image`` (uint8 H×W×3) as uint8 112×112×3; the aspect ratio is not kept.

    ``margin``: widening on each side, as a share of the box's width or height. What then lies outside of the picture
    is left out, and at least one pixel is taken.
    """
    left, top, right, bottom = region(box, margin, image.shape[1], image.shape[0])
    return resize(image[top:bottom, left:right], CROP_SIZE, CROP_SIZE, upscale)


def region(box: Box, margin: float, width: int, height: int) -> tuple[int, int, int, int]:
    """Whole pixels of a widened box within a picture: left, top, right, bottom, the last two exclusive."""
    x1, y1, x2, y2 = box
    left, right = _span(x1 - margin * (x2 - x1), x2 + margin * (x2 - x1), width)
    top, bottom = _span(y1 - margin * (y2 - y1), y2 + margin * (y2 - y1), height)
    return left, top, right, bottom


def resize(image: Image, width: int, height: int, upscale: Upscale = "cubic") -> Image:
    """Resize uint8 H×W×3; along each axis by area when it shrinks, else by the interpolation ``upscale``."""
    across = cv2.INTER_AREA if width < image.shape[1] else INTERPOLATION[upscale]
    along = cv2.INTER_AREA if height < image.shape[0] else INTERPOLATION[upscale]
    if across == along:
        return np.asarray(cv2.resize(image, (width, height), interpolation=across), dtype=np.uint8)
    if across == cv2.INTER_AREA:  # first the axis that shrinks: a strip enlarged at its full length fills the memory
        narrowed = cv2.resize(image, (width, image.shape[0]), interpolation=across)
        return np.asarray(cv2.resize(narrowed, (width, height), interpolation=along), dtype=np.uint8)
    lowered = cv2.resize(image, (image.shape[1], height), interpolation=along)
    return np.asarray(cv2.resize(lowered, (width, height), interpolation=across), dtype=np.uint8)


def sharpness(crop: Image) -> float:
    """Variance of the Laplacian of the crop's grey levels, a common measure of focus (Pech-Pacheco et al. 2000)."""
    return float(cv2.Laplacian(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    start = min(max(round(low), 0), size - 1)
    return start, max(min(round(high), size), start + 1)
