"""Reading videos and cameras frame by frame, and writing videos, by OpenCV."""

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
"""Silences FFmpeg's own messages on broken files; errors and ``on_loss`` report them."""

Image = NDArray[np.uint8]

SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"})
"""Suffixes of video files, in lower case."""

COUNTED = frozenset({".avi", ".m4v", ".mov", ".mp4"})
"""Suffixes of files that contain the number of frames. In other files it is estimated from duration and frame rate."""

DEFAULT_RATE = 25.0
"""Frames per second if a video or camera does not say."""


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a video file.

    Attributes:
        rate: frames per second.
        frames: number of frames; 0 if unknown.
    """

    rate: float
    frames: int


def is_video(path: Path) -> bool:
    """Return whether a file has a video's suffix and is not hidden."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def probe(path: Path) -> VideoInfo:
    """Open a video and read its first frame.

    Raises:
        DatasetError: it cannot be opened, or no frame can be decoded.
    """
    with _capture(path) as capture:
        if not capture.grab():
            raise DatasetError(f"{path}: no frame of this video can be read")
        rate, count = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return VideoInfo(rate if 0.0 < rate <= 1000.0 else DEFAULT_RATE, max(0, int(count)))


def frames(source: Path | int, every: int, on_loss: Callable[[str], None]) -> Iterator[tuple[int, Image]]:
    """Yield every ``every``-th frame of a video or, without end, of a camera.

    Args:
        source: a video's path, or a camera's number.
        every: 1: all frames.
        on_loss: called at the end with a message if some frames of the video could not be read.

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
    """Yield the numbers of the frames that ``frames`` yields, without decoding; arguments and errors are the same."""
    with _capture(path) as capture:
        yield from (number for number in _grabbed(path, capture, on_loss) if number % every == 0)


def _grabbed(source: Path | int, capture: cv2.VideoCapture, on_loss: Callable[[str], None]) -> Iterator[int]:
    """Grab all frames one after the other, and yield their numbers."""
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
    """Return whether the last of ``number`` frames lies well before the video's end; ``count`` is only an estimate."""
    duration = count / (capture.get(cv2.CAP_PROP_FPS) or DEFAULT_RATE)
    last = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
    missing = duration - last * number / max(1, number - 1)
    return bool(missing > min(1.0, 0.1 * duration))  # the sound may be longer than the pictures


class VideoWriter:
    """Writes an MPEG-4 video without sound."""

    def __init__(self, path: Path, rate: float, width: int, height: int) -> None:
        """Open the file.

        Args:
            path: path of the video.
            rate: frames per second.
            width: width of every frame, in pixels.
            height: height of every frame, in pixels.

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
        """Finish the file and check that it can be read, because OpenCV does not report a full disk.

        Raises:
            StorageError: the video cannot be read.
        """
        self._writer.release()
        try:
            probe(self._path)
        except DatasetError as error:
            raise StorageError(f"{self._path}: could not be written completely; make room on the disk") from error


@contextmanager
def _capture(source: Path | int) -> Iterator[cv2.VideoCapture]:
    """Open a video or camera within the context."""
    if isinstance(source, Path) and source.exists() and not source.is_file():
        raise DatasetError(f"{source}: not a regular file")  # opening a pipe would block forever
    # Silences OpenCV's own messages on broken files; the error reports them.
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
    """Return a path in a form that OpenCV and FFmpeg accept, whatever its name is.

    FFmpeg would read "19:30.mp4" as a protocol. OpenCV crashes on a text that is not UTF-8, but accepts bytes.
    """
    whole = path.absolute()
    return str(whole) if os.name == "nt" else os.fsencode(whole)  # type: ignore[return-value]  # the stubs do not allow bytes
