"""From a face in a picture to the crop that the networks see: cut by its box, or aligned by its five landmarks."""

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
"""Eyes, nose and mouth corners in the usual 112×112 crop (ArcFace, Deng et al., CVPR 2019); 5×2, pixels."""


@dataclass(frozen=True)
class Face:
    """A face in a picture, in pixels of the original picture.

    Attributes:
        method: how it was found: mtcnn, haar, whole (no face was found: the whole picture) or given (the set's authors
            aligned the picture to the face).
        faces: number of faces that this detector found in the picture.
        box: position of the face.
        score: O-Net's score; only for mtcnn.
        landmarks: five x, y; only for mtcnn.
        rotation: clockwise rotation of the picture, in degrees, that makes the face upright.
    """

    method: str
    faces: int
    box: Box
    score: float | None = None
    landmarks: list[float] | None = None
    rotation: int = 0


def crop_face(image: Image, face: Face, params: FaceParams) -> Image:
    """Crop a face according to the parameters ``align``, ``margin`` and ``upscale``.

    Args:
        image: the picture, uint8 H×W×3 RGB.
        face: the face in it.
        params: section ``faces`` of the parameters.

    Returns:
        uint8 112×112×3 RGB.
    """
    if params.align == "similarity" and face.landmarks is not None:
        return crop_aligned(image, np.array(face.landmarks).reshape(5, 2), params.margin, params.upscale)
    # Without landmarks the face cannot be aligned. The manifest's method shows which crops these are.
    found = face.method in ("mtcnn", "haar")
    box = squared(face.box) if found and params.align == "square" else face.box
    margin = params.margin if found else 0.0
    return rotated(crop_box(image, box, margin, params.upscale), face.rotation)


def squared(box: Box) -> Box:
    """Return the box extended along its shorter side to a square with the same centre."""
    x1, y1, x2, y2 = box
    more = (x2 - x1) - (y2 - y1)
    across, along = max(-more, 0.0) / 2.0, max(more, 0.0) / 2.0
    return x1 - across, y1 - along, x2 + across, y2 + along


def crop_box(image: Image, box: Box, margin: float, upscale: Upscale = "cubic") -> Image:
    """Cut a box out of a picture and resize it to the crop's size; the aspect ratio is not kept.

    Args:
        image: uint8 H×W×3.
        box: the box to cut out; parts outside the picture are ignored, but at least one pixel is cut out.
        margin: widening on each side, as a share of the box's width or height.
        upscale: the interpolation for enlarging.

    Returns:
        uint8 112×112×3.
    """
    left, top, right, bottom = region(box, margin, image.shape[1], image.shape[0])
    return resize(image[top:bottom, left:right], CROP_SIZE, CROP_SIZE, upscale)


def region(box: Box, margin: float, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the pixels of a widened box within a picture: left, top, right, bottom; the last two are exclusive."""
    x1, y1, x2, y2 = box
    left, right = _span(x1 - margin * (x2 - x1), x2 + margin * (x2 - x1), width)
    top, bottom = _span(y1 - margin * (y2 - y1), y2 + margin * (y2 - y1), height)
    return left, top, right, bottom


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    start = min(max(round(low), 0), size - 1)
    return start, max(min(round(high), size), start + 1)


def crop_aligned(image: Image, landmarks: NDArray[np.floating], margin: float, upscale: Upscale = "cubic") -> Image:
    """Rotate, scale and shift a face so that its landmarks come to the places in ``TEMPLATE``.

    Args:
        image: uint8 H×W×3. Its edge pixels are repeated outside.
        landmarks: 5×2, x and y in pixels of ``image``.
        margin: widening of the crop on each side, as a share of its side.
        upscale: the interpolation for enlarging.

    Returns:
        uint8 112×112×3.
    """
    image, matrix = _around(image, similarity(landmarks, widened(TEMPLATE, margin)))
    # If the face shrinks, average blocks of pixels first, so that the warp does not skip pixels.
    factor = int(min(1.0 / max(np.hypot(*matrix[:, 0]), 1e-6), *image.shape[:2]))
    if factor > 1:
        height, width = (-(-side // factor) for side in image.shape[:2])
        below, beside = height * factor - image.shape[0], width * factor - image.shape[1]
        padded = cv2.copyMakeBorder(image, 0, below, 0, beside, cv2.BORDER_REPLICATE)
        image = resize(np.asarray(padded, dtype=np.uint8), width, height)
        # The centre of a new pixel is the centre of its ``factor`` old ones: x = factor · x' + (factor − 1) / 2.
        matrix = np.column_stack([matrix[:, :2] * factor, matrix @ [(factor - 1) / 2.0, (factor - 1) / 2.0, 1.0]])
    taken = cv2.warpAffine(
        image, matrix, (CROP_SIZE, CROP_SIZE), flags=INTERPOLATION[upscale], borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(taken, dtype=np.uint8)


def _around(image: Image, matrix: NDArray[np.float64]) -> tuple[Image, NDArray[np.float64]]:
    """Return the part of the picture in the crop, and its matrix. OpenCV cannot warp sides over 32,766 pixels."""
    corners = np.array([[x, y, 1.0] for x in (0, CROP_SIZE) for y in (0, CROP_SIZE)])
    covered = corners @ cv2.invertAffineTransform(matrix).T
    last = np.array(image.shape[1::-1]) - 1
    reach = 8.0 * max(1.0, 1.0 / max(np.hypot(*matrix[:, 0]), 1e-6))  # reach of the interpolation
    left, top = np.clip(np.floor(covered.min(axis=0) - reach), 0, last).astype(int)
    right, bottom = np.clip(np.ceil(covered.max(axis=0) + reach), 0, last).astype(int)
    shifted = np.column_stack([matrix[:, :2], matrix @ [left, top, 1.0]])
    return image[top : bottom + 1, left : right + 1], shifted


def widened(template: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    """Return the template of a crop that is widened by ``margin`` on each side."""
    centre = (CROP_SIZE - 1) / 2.0
    return centre + (template - centre) / (1.0 + 2.0 * margin)


def similarity(points: NDArray[np.floating], template: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the rotation, scale and shift that bring points closest to a template (least squares).

    Args:
        points: n×2. If all are at one place, they are only shifted.
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
    """Rotate a picture (H×W×3) clockwise by a multiple of 90 degrees."""
    return np.ascontiguousarray(np.rot90(image, -degrees // 90))


def resize(image: Image, width: int, height: int, upscale: Upscale = "cubic") -> Image:
    """Resize uint8 H×W×3. Each axis that shrinks is averaged by area; one that grows is interpolated by ``upscale``."""
    across = cv2.INTER_AREA if width < image.shape[1] else INTERPOLATION[upscale]
    along = cv2.INTER_AREA if height < image.shape[0] else INTERPOLATION[upscale]
    if across == along:
        return np.asarray(cv2.resize(image, (width, height), interpolation=across), dtype=np.uint8)
    if across == cv2.INTER_AREA:  # shrink first: enlarging a long strip first could fill the memory
        narrowed = cv2.resize(image, (width, image.shape[0]), interpolation=across)
        return np.asarray(cv2.resize(narrowed, (width, height), interpolation=along), dtype=np.uint8)
    lowered = cv2.resize(image, (image.shape[1], height), interpolation=along)
    return np.asarray(cv2.resize(lowered, (width, height), interpolation=across), dtype=np.uint8)


def sharpness(crop: Image) -> float:
    """Return the variance of the Laplacian of the grey levels, a common measure of focus (Pech-Pacheco et al. 2000)."""
    return float(cv2.Laplacian(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())
