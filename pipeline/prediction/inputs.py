"""What is predicted: pictures, folders of them, videos and cameras, as one stream of frames in constant memory."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from pipeline.datasets.parts import videos
from pipeline.datasets.parts.folders import files_below
from pipeline.datasets.parts.pictures import decode, is_picture
from pipeline.errors import DatasetError, UnreadableImageError
from pipeline.faces.crop import Image
from pipeline.faces.mtcnn import STACKED_PIXELS
from pipeline.files.names import as_text

STDIN = "-"
"""Stands for a list of paths on the standard input, one a line."""

CAMERA_DIGITS = 2
"""Digits of a camera's number, at most: a longer number is a mistyped file or folder."""


@dataclass(frozen=True)
class Source:
    """Something that frames come from.

    Attributes:
        name: what rows call it; for a file its path.
        drawing: where its annotated copy goes: a path relative to the folder of drawings, without a suffix.
        path: of the file; empty for a camera, and for a picture that is in memory already.
        camera: its index; None for a file.
        video: what is known of a video's file; None for a picture or camera.
    """

    name: str
    drawing: Path
    path: Path = Path()
    camera: int | None = None
    video: videos.VideoInfo | None = None

    @property
    def is_video(self) -> bool:
        """Whether it has several frames, in which a face can be followed: a video or a camera."""
        return self.camera is not None or self.video is not None


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture, or one frame of a video or camera.

    Attributes:
        source: what it comes from.
        number: of the frame, from 0; of a picture 0.
        image: uint8 H×W×3 RGB.
    """

    source: Source
    number: int
    image: Image

    @classmethod
    def of_picture(cls, name: str, image: Image) -> Self:
        """A picture that is in memory already (uint8 H×W×3 RGB)."""
        return cls(Source(name, Path(name)), 0, image)


def sources(inputs: Sequence[str]) -> list[Source]:
    """Everything that ``inputs`` name.

    Args:
        inputs: files, folders (for the pictures and videos in them, at any depth), the numbers of cameras, or ``-`` for
            paths from the standard input.

    Raises:
        DatasetError: something is not there, a folder has neither pictures nor videos, or a video cannot be opened.
    """
    found: list[Source] = []
    for text in inputs:
        if text == STDIN:
            # As bytes: a name may be none in the encoding of the standard input.
            lines = (os.fsdecode(line.strip()) for line in sys.stdin.buffer)
            found += [_file(Path(line), Path(Path(line).name)) for line in lines if line]
        elif text.isdecimal() and len(text) <= CAMERA_DIGITS and not Path(text).exists():
            found.append(Source(f"camera {text}", Path(f"camera-{text}"), camera=int(text)))
        elif not text:  # it would stand for the folder that the command is called in
            raise DatasetError("an empty name: name files or folders, and the current folder as .")
        elif Path(text).is_dir():
            found += _below(Path(text))
        else:
            found.append(_file(Path(text), Path(Path(text).name)))
    if not found:
        raise DatasetError("nothing to predict: no path came on the standard input")
    return found


def _below(folder: Path) -> list[Source]:
    paths = list(files_below(folder, lambda path: is_picture(path) or videos.is_video(path)))
    if not paths:
        raise DatasetError(f"{folder}: neither pictures nor videos in this folder")
    # Below the folder's own name, so that two folders may have pictures of the same name.
    return [_file(path, folder.resolve().name / path.relative_to(folder)) for path in paths]


def _file(path: Path, drawing: Path) -> Source:
    if not path.exists():
        nothing = "file, folder or camera" if str(path).isdecimal() else "file or folder"
        raise DatasetError(f"{path}: no such {nothing}")
    if path.is_dir():
        raise DatasetError(f"{path}: a folder; name folders as arguments, not in the list")
    video = videos.probe(path) if videos.is_video(path) else None
    return Source(as_text(path), drawing.with_suffix(""), path, video=video)


def read_frames(inputs: Iterable[Source], every: int, on_unreadable: Callable[[str], None]) -> Iterator[Frame]:
    """All pictures and frames, in order, read one by one.

    Args:
        inputs: where they come from.
        every: of a video or camera, only every so many-th frame is taken.
        on_unreadable: called with a message for each picture that cannot be decoded, which is passed over, and for each
            video whose frames end too early.
    """
    for source in inputs:
        if source.is_video:
            read = videos.frames(source.path if source.camera is None else source.camera, every, on_unreadable)
            yield from (Frame(source, number, image) for number, image in read)
            continue
        try:
            yield Frame(source, 0, decode(source.path, source.name))
        except UnreadableImageError as error:
            on_unreadable(f"passed over: {error}")


def batches(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    """``size`` frames at a time, fewer where they are large; those of a camera one by one, as soon as they are there.

    A batch has no more pixels than the detector takes at once: so a batch is predicted while the next is decoded.
    """
    batch: list[Frame] = []
    for frame in frames:
        batch.append(frame)
        pixels = sum(int(np.prod(each.image.shape[:2])) for each in batch)
        if len(batch) >= size or pixels >= STACKED_PIXELS or frame.source.camera is not None:
            yield batch
            batch = []
    if batch:
        yield batch
