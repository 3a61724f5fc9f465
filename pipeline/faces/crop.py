"""From a face in a picture to the crop that the networks see: by its box, or aligned by its five landmarks."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config.pictures import FaceParams, Upscale
from pipeline.data.crops import CROP_SIZE

Image = NDArray[np.uint8]

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels."""

INTERPOLATION = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "lanczos": cv2.INTER_LANCZOS4}

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Eyes, nose and mouth corners in the 112×112 crop in common use (ArcFace, Deng et al., CVPR 2019); 5×2, pixels."""


@dataclass(frozen=True)
class Face:
    """A face in a picture, in pixels of the picture as it was read.

    Attributes:
        method: what found it: mtcnn, haar, whole (nothing did: it is the whole picture) or given (the picture was
            aligned to the face by its set's authors).
        faces: how many faces that detector found in the picture.
        box: where it is.
        score: O-Net's; only for mtcnn.
        landmarks: five x, y; only for mtcnn.
        rotation: degrees, clockwise, by which the picture must be rotated for the face to stand upright.
    """

    method: str
    faces: int
    box: Box
    score: float | None = None
    landmarks: list[float] | None = None
    rotation: int = 0


def crop_face(image: Image, face: Face, params: FaceParams) -> Image:
    """Crop a face as the parameters ``align``, ``margin`` and ``upscale`` say.

    Args:
        image: the picture, uint8 H×W×3 RGB.
        face: the face in it.
        params: the section ``faces``.

    Returns:
        uint8 112×112×3 RGB.
    """
    if params.align == "similarity" and face.landmarks is not None:
        return crop_aligned(image, np.array(face.landmarks).reshape(5, 2), params.margin, params.upscale)
    # Without landmarks there is nothing to align by: the manifest's method tells which crops these are.
    found = face.method in ("mtcnn", "haar")
    box = squared(face.box) if found and params.align == "square" else face.box
    margin = params.margin if found else 0.0
    return rotated(crop_box(image, box, margin, params.upscale), face.rotation)


def squared(box: Box) -> Box:
    """The box with its shorter side made as long as the other, about the same centre."""
    x1, y1, x2, y2 = box
    more = (x2 - x1) - (y2 - y1)
    across, along = max(-more, 0.0) / 2.0, max(more, 0.0) / 2.0
    return x1 - across, y1 - along, x2 + across, y2 + along


def crop_box(image: Image, box: Box, margin: float, upscale: Upscale = "cubic") -> Image:
    """Cut a box out of a picture and resize it to the crop's size; the aspect ratio is not kept.

    Args:
        image: uint8 H×W×3.
        box: what is cut out; not what lies outside of the picture, but at least one pixel.
        margin: widening on each side, as a share of the box's width or height.
        upscale: the interpolation where a side grows.

    Returns:
        uint8 112×112×3.
    """
    left, top, right, bottom = region(box, margin, image.shape[1], image.shape[0])
    return resize(image[top:bottom, left:right], CROP_SIZE, CROP_SIZE, upscale)


def region(box: Box, margin: float, width: int, height: int) -> tuple[int, int, int, int]:
    """Whole pixels of a widened box within a picture: left, top, right, bottom, the last two exclusive."""
    x1, y1, x2, y2 = box
    left, right = _span(x1 - margin * (x2 - x1), x2 + margin * (x2 - x1), width)
    top, bottom = _span(y1 - margin * (y2 - y1), y2 + margin * (y2 - y1), height)
    return left, top, right, bottom


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    start = min(max(round(low), 0), size - 1)
    return start, max(min(round(high), size), start + 1)


def crop_aligned(image: Image, landmarks: NDArray[np.floating], margin: float, upscale: Upscale = "cubic") -> Image:
    """Rotate, scale and shift a face so that its landmarks lie where ``TEMPLATE`` has them.

    Args:
        image: uint8 H×W×3. Beyond the picture its edge is continued.
        landmarks: 5×2, x and y in pixels of ``image``.
        margin: widening of the crop on each side, as a share of its side.
        upscale: the interpolation where the face grows.

    Returns:
        uint8 112×112×3.
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
    covered = corners @ cv2.invertAffineTransform(matrix).T
    last = np.array(image.shape[1::-1]) - 1
    reach = 8.0 * max(1.0, 1.0 / max(np.hypot(*matrix[:, 0]), 1e-6))  # of the interpolation
    left, top = np.clip(np.floor(covered.min(axis=0) - reach), 0, last).astype(int)
    right, bottom = np.clip(np.ceil(covered.max(axis=0) + reach), 0, last).astype(int)
    shifted = np.column_stack([matrix[:, :2], matrix @ [left, top, 1.0]])
    return image[top : bottom + 1, left : right + 1], shifted


def widened(template: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    """The template of a crop that shows ``margin`` more on each side."""
    centre = (CROP_SIZE - 1) / 2.0
    return centre + (template - centre) / (1.0 + 2.0 * margin)


def similarity(points: NDArray[np.floating], template: NDArray[np.floating]) -> NDArray[np.float64]:
    """The rotation, scale and shift that bring points nearest to a template in the least-squares sense.

    Args:
        points: n×2. Where all are in one place, they are only shifted.
        template: n×2.

    Returns:
        The 2×3 matrix [[a, −b, c], [b, a, d]].
    """
    x, y = np.asarray(points, dtype=np.float64).T
    ones, zeros = np.ones_like(x), np.zeros_like(x)
    equations = np.concatenate([np.stack([x, -y, ones, zeros], axis=1), np.stack([y, x, zeros, ones], axis=1)])
    if np.ptp(x) == np.ptp(y) == 0.0:
        return np.column_stack([np.eye(2), template.mean(axis=0) - [x[0], y[0]]])
    (a, b, c, d), *_ = np.linalg.lstsq(equations, np.asarray(template, dtype=np.float64).T.ravel(), rcond=None)
    return np.array([[a, -b, c], [b, a, d]])


def rotated(image: Image, degrees: int) -> Image:
    """The picture (H×W×3) rotated clockwise by a multiple of 90 degrees."""
    return np.ascontiguousarray(np.rot90(image, -degrees // 90))


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
