"""One face in every picture: MTCNN's, else the Haar cascade's, else the whole picture; or all that MTCNN sees."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.config.pictures import FaceParams
from pipeline.faces.boxes import Boxes
from pipeline.faces.choice import Chooser
from pipeline.faces.crop import Box, Image, resize
from pipeline.faces.haar import HaarDetector
from pipeline.faces.mtcnn import MTCNN, Detection
from pipeline.faces.turns import look_again

LONGEST_SIDE = 4096
"""Enlarging stops here, or a strip a few pixels high would grow out of all proportion."""

MOST_PIXELS = 1 << 23
"""Larger pictures are shrunk to this for detection, which bounds the memory; crops are cut from the full picture."""


@dataclass(frozen=True)
class Face:
    """The face chosen in one picture, in pixels of the picture as it was read.

    method: mtcnn, haar, whole or given (a picture that its set's authors have aligned). faces: how many that detector
    saw. score: O-Net's; landmarks: five x, y; both only for mtcnn. turned: degrees, clockwise, by which the picture
    must be turned for the face to stand upright.
    """

    method: str
    faces: int
    box: Box
    score: float | None = None
    landmarks: list[float] | None = None
    turned: int = 0


class FaceFinder:
    """Finds the faces of each picture of a batch, and chooses one where one is wanted."""

    def __init__(self, params: FaceParams, device: torch.device) -> None:
        """
        Raises:
            WeightsError: a detector's files are missing.
        """
        self._enlarge_to, self._turned = params.enlarge_to, params.turned
        large_first = params.search == "large_first"
        self._mtcnn = MTCNN(params.min_face, params.scale_factor, params.thresholds, device, large_first)
        self._haar = HaarDetector(params.min_face)

    def find(self, images: list[Image], sequences: list[str | None], chooser: Chooser) -> list[Face]:
        """One face for each picture (uint8 H×W×3 RGB); ``sequences`` says which recording each belongs to."""
        seen = [for_detection(image, self._enlarge_to) for image in images]
        looks = self._look(seen)
        return [self._choose(*of_one, chooser) for of_one in zip(images, seen, looks, sequences, strict=True)]

    def find_all(self, images: Sequence[Image]) -> list[list[Face]]:
        """Every face that MTCNN sees in each picture (uint8 H×W×3 RGB), the best score first."""
        seen = [for_detection(image, self._enlarge_to) for image in images]
        return [self._all(*of_one) for of_one in zip(images, seen, self._look(seen), strict=True)]

    def _look(self, seen: list[Image]) -> list[tuple[int, Detection]]:
        """What MTCNN sees in each picture, and by how much this was turned for it."""
        detections = self._mtcnn.detect(seen)
        if self._turned:
            return look_again(self._mtcnn.detect, seen, detections)
        return [(0, detection) for detection in detections]

    def _all(self, image: Image, seen: Image, look: tuple[int, Detection]) -> list[Face]:
        turned, detection = look
        scale = _scale(image, seen)
        boxes = _scaled(detection.boxes, scale)
        return [_detected(detection, boxes, row, scale, turned) for row in range(len(boxes))]

    def _choose(
        self, image: Image, seen: Image, look: tuple[int, Detection], sequence: str | None, chooser: Chooser
    ) -> Face:
        """``seen``: the picture as the detectors see it."""
        turned, detection = look
        height, width = image.shape[:2]
        scale = _scale(image, seen)
        if len(detection.boxes):
            boxes = _scaled(detection.boxes, scale)
            chosen = chooser.choose(boxes, detection.scores, (width, height), sequence)
            return _detected(detection, boxes, chosen, scale, turned)
        squares = _scaled(self._haar.detect(seen), scale)
        if len(squares):
            # The cascade gives no scores: the largest square, its first, is the most confident.
            chosen = chooser.choose(squares, np.zeros(len(squares)), (width, height), sequence)
            return Face("haar", len(squares), _box(squares[chosen]))
        return whole(image, "whole")


def whole(image: Image, method: str) -> Face:
    """The whole picture as a face."""
    return Face(method, 0, (0.0, 0.0, float(image.shape[1]), float(image.shape[0])))


def for_detection(image: Image, shorter_side: int) -> Image:
    """The picture, with its shorter side enlarged to ``shorter_side``, or shrunk to ``MOST_PIXELS`` in all."""
    height, width = image.shape[:2]
    factor = min(shorter_side / min(height, width), LONGEST_SIDE / max(height, width))
    if factor <= 1.0:
        factor = min(1.0, (MOST_PIXELS / (height * width)) ** 0.5)
    if factor == 1.0:
        return image
    return resize(image, max(1, round(width * factor)), max(1, round(height * factor)))


def _scale(image: Image, seen: Image) -> NDArray[np.float64]:
    """What turns x and y in the picture that detectors see into those of the picture itself."""
    return np.array([image.shape[1] / seen.shape[1], image.shape[0] / seen.shape[0]])


def _detected(detection: Detection, boxes: Boxes, row: int, scale: NDArray[np.float64], turned: int) -> Face:
    """One of MTCNN's faces; ``boxes`` are all of them, in pixels of the picture itself."""
    # Landmarks are counted from the centre of the first pixel, which resizing moves.
    landmarks = _rounded((detection.landmarks[row] + 0.5) * scale - 0.5)
    return Face("mtcnn", len(boxes), _box(boxes[row]), float(detection.scores[row]), landmarks, turned)


def _scaled(boxes: NDArray[np.float32], scale: NDArray[np.float64]) -> Boxes:
    return boxes.astype(np.float64) * np.tile(scale, 2)


def _box(box: NDArray[np.float64]) -> Box:
    x1, y1, x2, y2 = _rounded(box)
    return x1, y1, x2, y2


def _rounded(points: NDArray[np.float64]) -> list[float]:
    # To a hundredth of a pixel: what lies beyond is rounding that differs between machines.
    return [round(float(value), 2) for value in points.ravel()]
