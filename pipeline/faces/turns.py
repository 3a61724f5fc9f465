"""A second look at pictures that lie on their side or stand on their head, without a word of it in their files."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.faces.crop import Image
from pipeline.faces.mtcnn import Detection

TURNS = (90, 180, 270)
"""Degrees by which a picture is turned, clockwise."""


def turned(image: Image, degrees: int) -> Image:
    """The picture (H×W×3) turned clockwise by a multiple of 90 degrees."""
    return np.ascontiguousarray(np.rot90(image, -degrees // 90))


def look_again(
    detect: Callable[[list[Image]], list[Detection]], images: Sequence[Image], detections: Sequence[Detection]
) -> list[tuple[int, Detection]]:
    """For each picture how it was turned, and what was seen in it, in pixels of the picture as it is.

    Those in which there is a face are left alone. Of the others the turn counts that has the best score; 0 and nothing
    where no turn shows a face.
    """
    found = [(0, detection) for detection in detections]
    empty = [row for row, detection in enumerate(detections) if not len(detection.boxes)]
    for degrees in TURNS if empty else ():
        for row, seen in zip(empty, detect([turned(images[row], degrees) for row in empty]), strict=True):
            best = found[row][1]
            if len(seen.scores) and (not len(best.scores) or seen.scores.max() > best.scores.max()):
                found[row] = degrees, _turned_back(seen, degrees, images[row])
    return found


def _turned_back(detection: Detection, degrees: int, image: Image) -> Detection:
    """What was seen in ``turned(image, degrees)`` in pixels of ``image``."""
    corners = _points(detection.boxes.reshape(-1, 2, 2), degrees, image)
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    # Landmarks are counted from the centre of the first pixel, boxes from its corner.
    landmarks = _points(detection.landmarks + np.float32(0.5), degrees, image) - np.float32(0.5)
    return Detection(boxes, landmarks, detection.scores)


def _points(points: NDArray[np.float32], degrees: int, image: Image) -> NDArray[np.float32]:
    """Points (… × 2, x and y) of the turned picture where they lie in ``image``."""
    height, width = image.shape[:2]
    x, y = points[..., 0], points[..., 1]
    back = {90: (y, height - x), 180: (width - x, height - y), 270: (width - y, x)}[degrees]
    stacked: NDArray[np.float32] = np.stack(back, axis=-1).astype(np.float32)
    return stacked
