"""Videos and cameras, frame by frame through OpenCV: reading them, and writing videos."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DatasetError, StorageError
from pipeline.files.names import as_text

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
"""Quiet: FFmpeg would print messages of its own on a broken file, which errors and ``on_loss`` name."""

Image = NDArray[np.uint8]

SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"})
"""Endings of video files, in lower case."""

COUNTED = frozenset({".avi", ".m4v", ".mov", ".mp4"})
"""Endings of files that hold the number of their frames; of others it is estimated by duration and rate."""

DEFAULT_RATE = 25.0
"""Frames per second where a video or camera does not say."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video file says of itself.

    Attributes:
        rate: frames per second.
        frames: their number, 0 where it is unknown.
    """

    rate: float
    frames: int


def is_video(path: Path) -> bool:
    """Whether a file's name is a video's; hidden files are not."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def probe(path: Path) -> VideoInfo:
    """Open a video and read its first frame.

    Raises:
        DatasetError: it cannot be opened, or has no frame that can be decoded.
    """
    with _capture(path) as capture:
        if not capture.grab():
            raise DatasetError(f"{path}: a video without a frame that can be read")
        rate, count = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return VideoInfo(rate if 0.0 < rate <= 1000.0 else DEFAULT_RATE, max(0, int(count)))


def frames(source: Path | int, every: int, on_loss: Callable[[str], None]) -> Iterator[tuple[int, Image]]:
    """Every ``every``-th frame of a video or, without end, of a camera.

    Args:
        source: a video's path, or a camera's number.
        every: 1 for all frames.
        on_loss: called at the end with a message where not all frames of the video could be read.

    Yields:
        The frame's number from 0, and the picture, uint8 H×W×3 RGB.

    Raises:
        DatasetError: the video or camera cannot be opened.
    """
    with _capture(source) as capture:
        for number in _grabbed(source, capture, on_loss):
            if number % every == 0:  # a skipped frame is not converted
                readable, image = capture.retrieve()
                if readable:
                    yield number, np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def frame_numbers(path: Path, every: int, on_loss: Callable[[str], None]) -> Iterator[int]:
    """The numbers of the frames that ``frames`` gives, without converting any; arguments and errors are the same."""
    with _capture(path) as capture:
        yield from (number for number in _grabbed(path, capture, on_loss) if number % every == 0)


def _grabbed(source: Path | int, capture: cv2.VideoCapture, on_loss: Callable[[str], None]) -> Iterator[int]:
    """The numbers of all frames, each of which is the capture's current one."""
    number = 0
    while capture.grab():
        yield number
        number += 1
    if isinstance(source, int):
        return
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    if number < count and (source.suffix.lower() in COUNTED or _ends_early(capture, number, count)):
        on_loss(f"{as_text(source)}: only {number} of {count} frames could be read")


def _ends_early(capture: cv2.VideoCapture, number: int, count: int) -> bool:
    """Whether the last of ``number`` frames lies well before the end of a video whose ``count`` is an estimate."""
    duration = count / (capture.get(cv2.CAP_PROP_FPS) or DEFAULT_RATE)
    last = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
    missing = duration - last * number / max(1, number - 1)
    return bool(missing > min(1.0, 0.1 * duration))  # sound may go on longer than the pictures


class VideoWriter:
    """Writes an MPEG-4 video without sound."""

    def __init__(self, path: Path, rate: float, width: int, height: int) -> None:
        """Open the file.

        Args:
            path: of the video.
            rate: frames per second.
            width: of every frame, in pixels.
            height: of every frame, in pixels.

        Raises:
            StorageError: the file cannot be written.
        """
        self._path = path
        self._writer = cv2.VideoWriter(_opencv_path(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, (width, height))
        if not self._writer.isOpened():
            raise StorageError(f"{path}: cannot be written; make room, or name another folder")

    def write(self, image: Image) -> None:
        """Add a frame, uint8 height×width×3 RGB."""
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file and check that it can be read, as OpenCV does not report a full disk.

        Raises:
            StorageError: the video cannot be read.
        """
        self._writer.release()
        try:
            probe(self._path)
        except DatasetError as error:
            raise StorageError(f"{self._path}: could not be written whole; make room on the disk") from error


@contextmanager
def _capture(source: Path | int) -> Iterator[cv2.VideoCapture]:
    if isinstance(source, Path) and source.exists() and not source.is_file():
        raise DatasetError(f"{source}: not a regular file")  # a pipe would be waited for without end
    # OpenCV would print messages on a broken file; the error says it.
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    capture = cv2.VideoCapture(source if isinstance(source, int) else _opencv_path(source))
    try:
        if not capture.isOpened():
            message = (
                f"{source}: not a video that can be read"
                if isinstance(source, Path)
                else f"camera {source}: cannot be opened"
            )
            raise DatasetError(message)
        yield capture
    finally:
        capture.release()
        cv2.utils.logging.setLogLevel(level)


def _opencv_path(path: Path) -> str:
    """A path as OpenCV and FFmpeg take it for one, whatever its name.

    FFmpeg would read "19:30.mp4" as a protocol. OpenCV crashes on a text that is not UTF-8, and takes the bytes.
    """
    whole = path.absolute()
    return str(whole) if os.name == "nt" else os.fsencode(whole)  # type: ignore[return-value]  # its stubs know no bytes
