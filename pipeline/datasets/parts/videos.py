"""Videos and cameras by OpenCV, frame by frame: reading, and writing annotated ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DatasetError, StorageError

Image = NDArray[np.uint8]

SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"})
"""What a video file's name ends in, in lower case."""

DEFAULT_RATE = 25.0
"""Frames a second where a video or camera does not say."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video file says of itself. rate: frames a second. frames: how many it has, 0 where it is unknown."""

    rate: float
    frames: int


def is_video(path: Path) -> bool:
    """Whether the name is a video's; hidden files are not."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def probe(path: Path) -> VideoInfo:
    """Open a video and read its first frame.

    Raises:
        DatasetError: it cannot be opened, or has no frame that can be decoded.
    """
    with _capture(str(path)) as capture:
        if not capture.grab():
            raise DatasetError(f"{path}: a video without a frame that can be read")
        rate, count = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return VideoInfo(rate if 0.0 < rate <= 1000.0 else DEFAULT_RATE, max(0, int(count)))


def frames(of: str | int, every: int) -> Iterator[tuple[int, Image]]:
    """The number (from 0) and the picture (uint8 H×W×3 RGB) of every ``every``-th frame; of a camera without end.

    Raises:
        DatasetError: the video or camera cannot be opened.
    """
    with _capture(of) as capture:
        number = 0
        while capture.grab():  # a frame that is passed over is not converted
            if number % every == 0:
                readable, image = capture.retrieve()
                if readable:
                    yield number, np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
            number += 1


def frame_numbers(path: Path, every: int) -> Iterator[int]:
    """The numbers of the frames that ``frames`` gives, without converting any.

    Raises:
        DatasetError: the video cannot be opened.
    """
    with _capture(str(path)) as capture:
        number = 0
        while capture.grab():
            if number % every == 0:
                yield number
            number += 1


class VideoWriter:
    """Writes frames (uint8 H×W×3 RGB, of one size) as an MPEG-4 video of ``rate`` frames a second, without sound."""

    def __init__(self, path: Path, rate: float, width: int, height: int) -> None:
        """
        Raises:
            StorageError: the file cannot be written.
        """
        self._path = path
        self._writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, (width, height))
        if not self._writer.isOpened():
            raise StorageError(f"{path}: cannot be written; make room, or name another folder")

    def write(self, image: Image) -> None:
        """Add a frame."""
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file.

        Raises:
            StorageError: what was written cannot be read: OpenCV does not tell of a full disk.
        """
        self._writer.release()
        try:
            probe(self._path)
        except DatasetError as error:
            raise StorageError(f"{self._path}: could not be written whole; make room on the disk") from error


@contextmanager
def _capture(of: str | int) -> Iterator[cv2.VideoCapture]:
    # OpenCV and FFmpeg would print what they think of a broken file; the error says it.
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    capture = cv2.VideoCapture(of)
    try:
        if not capture.isOpened():
            what = f"{of}: not a video that can be read" if isinstance(of, str) else f"camera {of}: cannot be opened"
            raise DatasetError(what)
        yield capture
    finally:
        capture.release()
        cv2.utils.logging.setLogLevel(level)
