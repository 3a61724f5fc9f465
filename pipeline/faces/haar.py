"""OpenCV's Haar cascade for frontal faces: the detector asked when MTCNN sees no face."""

from pathlib import Path

import cv2
import numpy as np
from cv2.data import haarcascades
from numpy.typing import NDArray

from pipeline.errors import WeightsError

CASCADE = "haarcascade_frontalface_default.xml"


class HaarDetector:
    """Viola and Jones' detector with OpenCV's own cascade file and default settings."""

    def __init__(self, min_face: int) -> None:
        """``min_face``: side of the smallest face that is found, in pixels.

        Raises:
            WeightsError: the installed OpenCV does not bring the cascade.
        """
        path = Path(haarcascades) / CASCADE
        self._cascade = cv2.CascadeClassifier(str(path))
        if self._cascade.empty():
            raise WeightsError(f"{path}: missing or damaged; install opencv-python-headless>=4.10,<5 again")
        self._smallest = (min_face, min_face)

    def detect(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Boxes of the faces in a picture (uint8 H×W×3 RGB): float32 n×4, x1, y1, x2, y2, largest first."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        found = self._cascade.detectMultiScale(grey, minSize=self._smallest)
        # Sorted because the cascade runs in threads, whose order is no one's.
        squares = sorted((-width * height, int(x), int(y), int(width), int(height)) for x, y, width, height in found)
        boxes = [(x, y, x + width, y + height) for _, x, y, width, height in squares]
        return np.array(boxes, dtype=np.float32).reshape(-1, 4)
