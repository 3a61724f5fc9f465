"""One face per picture: MTCNN's, else the Haar cascade's, else the whole picture. Or all faces that MTCNN finds."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from cv2.data import haarcascades
from numpy.typing import NDArray

from pipeline.config.pictures import FaceParams, FaceRule
from pipeline.errors import WeightsError
from pipeline.faces.boxes import Boxes, area, iou
from pipeline.faces.crop import Box, Face, Image, resize, rotated
from pipeline.faces.mtcnn import MTCNN, Detection

LONGEST_SIDE = 4096
"""Maximum side of an enlarged picture. Otherwise a strip a few pixels high would become huge."""

MOST_PIXELS = 1 << 23
"""Larger pictures are shrunk to this size for detection, to limit memory; crops are cut from the full picture."""

ROTATIONS = (90, 180, 270)
"""Clockwise rotations, in degrees, that are tried for a picture without a face."""

CASCADE = "haarcascade_frontalface_default.xml"

SAME_FACE = 0.3
"""Minimum intersection over union of a face's boxes in successive frames; expressions change the box little."""


class Chooser:
    """Chooses one face per picture; with tracking, the face that continues the sequence's track.

    All pictures of a sequence must go to the same chooser, in order.
    """

    def __init__(self, rule: FaceRule, track: bool) -> None:
        self._rule, self._track = rule, track
        self._last: dict[str, Boxes] = {}

    def choose(self, boxes: Boxes, scores: NDArray[np.floating], size: tuple[int, int], sequence: str | None) -> int:
        """Choose one of the faces found in a picture.

        Args:
            boxes: n×4, n ≥ 1, in pixels of the picture.
            scores: n.
            size: width and height of the picture.
            sequence: the recording that the picture belongs to; None for a single picture.

        Returns:
            The row of the chosen face; of equal faces, the first.
        """
        chosen = self._continued(boxes, sequence)
        if chosen is None:
            chosen = self._by_rule(boxes, scores, size)
        if sequence is not None and self._track:
            self._last[sequence] = boxes[chosen]
        return chosen

    def _continued(self, boxes: Boxes, sequence: str | None) -> int | None:
        if sequence is None or sequence not in self._last:
            return None
        shared = iou(self._last[sequence], boxes)
        return int(shared.argmax()) if shared.max() >= SAME_FACE else None

    def _by_rule(self, boxes: Boxes, scores: NDArray[np.floating], size: tuple[int, int]) -> int:
        if self._rule == "confident":
            return int(scores.argmax())
        if self._rule == "central":
            centres = (boxes[:, :2] + boxes[:, 2:]) / 2.0
            return int(np.linalg.norm(centres - np.array(size) / 2.0, axis=1).argmin())
        return int(area(boxes).argmax())


class FaceFinder:
    """Finds the faces in the pictures of a batch, and chooses one per picture if asked to."""

    def __init__(self, params: FaceParams, device: torch.device) -> None:
        """Load the detectors.

        Raises:
            WeightsError: a detector's files are missing.
        """
        self._enlarge_to, self._rotate = params.enlarge_to, params.turned
        large_first = params.search == "large_first"
        self._mtcnn = MTCNN(params.min_face, params.scale_factor, params.thresholds, device, large_first)
        self._haar = HaarDetector(params.min_face)

    def find(self, images: list[Image], sequences: list[str | None], chooser: Chooser) -> list[Face]:
        """Find one face in each picture.

        Args:
            images: uint8 H×W×3 RGB; sizes may differ.
            sequences: the recording that each picture belongs to.
            chooser: chooses among several faces.
        """
        resized = [for_detection(image, self._enlarge_to) for image in images]
        found = self._detect(resized)
        return [self._choose(*of_one, chooser) for of_one in zip(images, resized, found, sequences, strict=True)]

    def find_all(self, images: Sequence[Image]) -> list[list[Face]]:
        """Return all faces that MTCNN finds in each picture (uint8 H×W×3 RGB), those with the best score first."""
        resized = [for_detection(image, self._enlarge_to) for image in images]
        return [_all(*of_one) for of_one in zip(images, resized, self._detect(resized), strict=True)]

    def _detect(self, resized: list[Image]) -> list[tuple[int, Detection]]:
        """Return MTCNN's faces in each picture, with the rotation of the picture at which they were found."""
        detections = self._mtcnn.detect(resized)
        if self._rotate:
            return detect_rotated(self._mtcnn.detect, resized, detections)
        return [(0, detection) for detection in detections]

    def _choose(
        self, image: Image, resized: Image, found: tuple[int, Detection], sequence: str | None, chooser: Chooser
    ) -> Face:
        """Return one face of a picture; ``resized`` is the picture as the detectors see it."""
        rotation, detection = found
        height, width = image.shape[:2]
        scale = _scale(image, resized)
        if len(detection.boxes):
            boxes = _scaled(detection.boxes, scale)
            chosen = chooser.choose(boxes, detection.scores, (width, height), sequence)
            return _face(detection, boxes, chosen, scale, rotation)
        squares = _scaled(self._haar.detect(resized), scale)
        if len(squares):
            # The cascade gives no scores. The first square is the largest, which counts as the most confident.
            chosen = chooser.choose(squares, np.zeros(len(squares)), (width, height), sequence)
            return Face("haar", len(squares), _box(squares[chosen]))
        return whole_picture(image, "whole")


def whole_picture(image: Image, method: str) -> Face:
    """Return the whole picture as a face."""
    return Face(method, 0, (0.0, 0.0, float(image.shape[1]), float(image.shape[0])))


def for_detection(image: Image, shorter_side: int) -> Image:
    """Enlarge a picture until its shorter side is ``shorter_side``, or shrink it to ``MOST_PIXELS`` pixels."""
    height, width = image.shape[:2]
    factor = min(shorter_side / min(height, width), LONGEST_SIDE / max(height, width))
    if factor <= 1.0:
        factor = min(1.0, (MOST_PIXELS / (height * width)) ** 0.5)
    if factor == 1.0:
        return image
    return resize(image, max(1, round(width * factor)), max(1, round(height * factor)))


def _all(image: Image, resized: Image, found: tuple[int, Detection]) -> list[Face]:
    rotation, detection = found
    scale = _scale(image, resized)
    boxes = _scaled(detection.boxes, scale)
    return [_face(detection, boxes, row, scale, rotation) for row in range(len(boxes))]


def _scale(image: Image, resized: Image) -> NDArray[np.float64]:
    """Return the factors that convert x and y of the resized picture to pixels of the original."""
    return np.array([image.shape[1] / resized.shape[1], image.shape[0] / resized.shape[0]])


def _face(detection: Detection, boxes: Boxes, row: int, scale: NDArray[np.float64], rotation: int) -> Face:
    """Return one of MTCNN's faces; ``boxes`` are all boxes in the picture, in its own pixels."""
    # The origin of landmarks is the centre of the first pixel, which resizing moves.
    landmarks = _rounded((detection.landmarks[row] + 0.5) * scale - 0.5)
    return Face("mtcnn", len(boxes), _box(boxes[row]), float(detection.scores[row]), landmarks, rotation)


def _scaled(boxes: NDArray[np.float32], scale: NDArray[np.float64]) -> Boxes:
    return boxes.astype(np.float64) * np.tile(scale, 2)


def _box(box: NDArray[np.float64]) -> Box:
    x1, y1, x2, y2 = _rounded(box)
    return x1, y1, x2, y2


def _rounded(points: NDArray[np.float64]) -> list[float]:
    # To 0.01 pixel: further digits differ between machines by rounding.
    return [round(float(value), 2) for value in points.ravel()]


def detect_rotated(
    detect: Callable[[list[Image]], list[Detection]], images: Sequence[Image], detections: Sequence[Detection]
) -> list[tuple[int, Detection]]:
    """Search pictures without a face again, rotated: they may be sideways or upside down without their files saying so.

    Args:
        detect: finds the faces in a list of pictures.
        images: uint8 H×W×3 RGB.
        detections: the faces in the pictures without rotation. Pictures with a face are not searched again.

    Returns:
        For each picture the clockwise rotation with the best score, in degrees, and its faces, in pixels of the picture
        without rotation; 0 and no faces if there are none at any rotation.
    """
    found = [(0, detection) for detection in detections]
    empty = [row for row, detection in enumerate(detections) if not len(detection.boxes)]
    for degrees in ROTATIONS if empty else ():
        for row, detection in zip(empty, detect([rotated(images[row], degrees) for row in empty]), strict=True):
            best = found[row][1]
            if len(detection.scores) and (not len(best.scores) or detection.scores.max() > best.scores.max()):
                found[row] = degrees, _rotated_back(detection, degrees, images[row])
    return found


def _rotated_back(detection: Detection, degrees: int, image: Image) -> Detection:
    """Convert faces in ``rotated(image, degrees)`` to pixels of ``image``."""
    corners = _points_back(detection.boxes.reshape(-1, 2, 2), degrees, image)
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    # The origin of landmarks is the centre of the first pixel, that of boxes is its corner.
    landmarks = _points_back(detection.landmarks + np.float32(0.5), degrees, image) - np.float32(0.5)
    return Detection(boxes, landmarks, detection.scores)


def _points_back(points: NDArray[np.float32], degrees: int, image: Image) -> NDArray[np.float32]:
    """Convert points (… × 2, x and y) in the rotated picture to pixels of ``image``."""
    height, width = image.shape[:2]
    x, y = points[..., 0], points[..., 1]
    back = {90: (y, height - x), 180: (width - x, height - y), 270: (width - y, x)}[degrees]
    stacked: NDArray[np.float32] = np.stack(back, axis=-1).astype(np.float32)
    return stacked


class HaarDetector:
    """Viola and Jones' detector of frontal faces, with OpenCV's cascade file. Used if MTCNN finds no face."""

    def __init__(self, min_face: int) -> None:
        """Load the cascade.

        Args:
            min_face: side of the smallest face to find, in pixels.

        Raises:
            WeightsError: the installed OpenCV does not contain the cascade.
        """
        path = Path(haarcascades) / CASCADE
        self._cascade = cv2.CascadeClassifier(str(path))
        if self._cascade.empty():
            raise WeightsError(f"{path}: missing or damaged; install opencv-python-headless>=4.10,<5 again")
        self._smallest = (min_face, min_face)

    def detect(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the boxes of the faces in a picture (uint8 H×W×3 RGB): float32 n×4, x1, y1, x2, y2, largest first."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        found = self._cascade.detectMultiScale(grey, minSize=self._smallest)
        # Sorted because the cascade runs in threads, whose order is random.
        squares = sorted((-width * height, int(x), int(y), int(width), int(height)) for x, y, width, height in found)
        boxes = [(x, y, x + width, y + height) for _, x, y, width, height in squares]
        return np.array(boxes, dtype=np.float32).reshape(-1, 4)
