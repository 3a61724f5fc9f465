"""The inputs of predictions: pictures, folders, videos and cameras, read as one stream in constant memory."""

import codecs
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
from pipeline.shards import WHOLE, Shard

STDIN = "-"
"""Means: read paths from the standard input, one per line."""

CAMERA_DIGITS = 2
"""Maximum number of digits of a camera's number: a longer number is a mistyped file or folder."""

BLOCK = 64
"""Pictures per block, the unit of sharding: several batches, so that few batches are incomplete."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source of frames: a picture, a video or a camera.

    Attributes:
        name: name in the rows; for a file its path.
        drawing: path of its annotated copy, relative to the folder of drawings, without suffix.
        path: path of the file; empty for a camera, and for a picture in memory.
        camera: index of the camera; None for a file.
        video: properties of the video; None for a picture, a camera or a video that cannot be opened.
        broken: why a video cannot be opened, or a file in a folder is missing; else empty.
        block: number of its block; a batch contains frames of only one block.
    """

    name: str
    drawing: Path
    path: Path = Path()
    camera: int | None = None
    video: videos.VideoInfo | None = None
    broken: str = ""
    block: int = 0

    @property
    def is_video(self) -> bool:
        """Whether it has several frames, in which a face can be followed: a video or a camera."""
        return self.camera is not None or self.video is not None


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture, or one frame of a video or camera.

    Attributes:
        source: the frame's source.
        number: number of the frame, from 0; 0 for a picture.
        image: uint8 H×W×3 RGB.
    """

    source: Source
    number: int
    image: Image

    @classmethod
    def of_picture(cls, name: str, image: Image) -> Self:
        """Create the frame of a picture in memory (uint8 H×W×3 RGB)."""
        return cls(Source(name, Path(name)), 0, image)


@dataclass(frozen=True, slots=True)
class Named:
    """An input by name, before it is opened; small, because there may be millions.

    Attributes:
        path: path of a file, or number of a camera.
        folder: the named folder in which the file was found; None if the file itself was named.
        camera: whether it is a camera.
    """

    path: str
    folder: Path | None = None
    camera: bool = False

    @property
    def is_picture(self) -> bool:
        """Whether it is neither a video nor a camera."""
        return not self.camera and not videos.is_video(Path(self.path))

    def source(self, block: int) -> Source:
        """Create the source; a video is opened and its first frame read.

        Raises:
            DatasetError: there is no such file.
        """
        if self.camera:
            return Source(f"camera {self.path}", Path(f"camera-{self.path}"), camera=int(self.path), block=block)
        path = Path(self.path)
        if self.folder is None:
            return _file(path, Path(path.name), block)
        # Includes the folder's name, because two folders may contain pictures of the same name.
        drawing = self.folder.resolve().name / path.relative_to(self.folder)
        if not path.exists():  # found in a folder, not named by the user: it must not stop the others
            broken = f"{as_text(path)}: a link that leads nowhere, or a file that vanished"
            return Source(as_text(path), drawing.with_suffix(""), path, broken=broken, block=block)
        return _file(path, drawing, block)


def sources(inputs: Sequence[str]) -> list[Source]:
    """Return the sources of files and folders.

    Args:
        inputs: files, and folders, which are searched for pictures and videos at any depth.

    Raises:
        DatasetError: an input is missing, a camera or the standard input, or a folder has neither pictures nor videos.
    """
    return sources_of(list_inputs(inputs, files_only=True), WHOLE)


def sources_of(named: Sequence[Named], shard: Shard) -> list[Source]:
    """Return the sources of one shard; the units are blocks of pictures, and single videos.

    Raises:
        DatasetError: see ``sources``.
    """
    blocks = list(_blocks(named))
    return [one.source(number) for number, block in enumerate(blocks[shard.part(len(blocks))]) for one in named[block]]


def _blocks(named: Sequence[Named]) -> Iterator[slice]:
    """Yield runs of at most ``BLOCK`` pictures, and each video or camera separately."""
    start, goes_on = 0, False
    for place, one in enumerate(named):
        is_picture = one.is_picture
        if place > start and not (goes_on and is_picture and place - start < BLOCK):
            yield slice(start, place)
            start = place
        goes_on = is_picture
    yield slice(start, len(named))


def list_inputs(inputs: Sequence[str], *, files_only: bool = False) -> list[Named]:
    """List all inputs in order, without opening files.

    Args:
        inputs: files, folders (searched for pictures and videos at any depth), numbers of cameras, or ``-`` for paths
            from the standard input.
        files_only: do not allow cameras and the standard input.

    Raises:
        DatasetError: a folder has neither pictures nor videos, nothing is named, or an input is not allowed.
    """
    found: list[Named] = []
    for text in inputs:
        is_camera = text.isdecimal() and len(text) <= CAMERA_DIGITS and not Path(text).exists()
        if files_only and (is_camera or text == STDIN):
            what = "a camera" if is_camera else "the standard input"
            raise DatasetError(f"{text}: {what} cannot be used here; give files or folders, or arrays to model.predict")
        if text == STDIN:
            found += [Named(line) for line in _listed()]
        elif not text:  # Path("") is the current folder
            raise DatasetError("an empty name: give names of files or folders, and . for the current folder")
        elif is_camera:
            found.append(Named(text, camera=True))
        elif Path(text).is_dir():
            found += _below(Path(text))
        else:
            found.append(Named(text))
    if not found:
        lacking = "came on the standard input" if STDIN in inputs else "is given"
        raise DatasetError(f"nothing to predict: no path {lacking}")
    return found


def _listed() -> Iterator[str]:
    """Yield the paths on the standard input, one per line.

    They are read as bytes, because a file name may be invalid in the encoding of the standard input.

    Raises:
        DatasetError: there are zero bytes, which cannot occur in a path.
    """
    for number, line in enumerate(sys.stdin.buffer, start=1):
        if b"\0" in line:
            raise DatasetError(
                f"the standard input, line {number}: zero bytes, as in UTF-16 or from find -print0; give one path a "
                "line, in UTF-8"
            )
        if path := line.removeprefix(codecs.BOM_UTF8).strip():
            yield os.fsdecode(path)


def _below(folder: Path) -> list[Named]:
    paths = files_below(folder, lambda path: is_picture(path) or videos.is_video(path))
    if not (found := [Named(str(path), folder) for path in paths]):
        raise DatasetError(f"{folder}: neither pictures nor videos in this folder")
    return found


def _file(path: Path, drawing: Path, block: int) -> Source:
    if not path.exists():
        nothing = "file, folder or camera" if str(path).isdecimal() else "file or folder"
        raise DatasetError(f"{path}: no such {nothing}")
    if path.is_dir():
        raise DatasetError(f"{path}: a folder; name folders as arguments, not in the list")
    video, broken = None, ""
    if videos.is_video(path):
        try:
            video = videos.probe(path)
        except DatasetError as error:  # like an unreadable picture, it does not stop the others
            broken = str(error)
    return Source(as_text(path), drawing.with_suffix(""), path, video=video, broken=broken, block=block)


def read_frames(inputs: Iterable[Source], every: int, on_unreadable: Callable[[str], None]) -> Iterator[Frame]:
    """Yield all pictures and frames in order, reading one at a time.

    Args:
        inputs: the sources.
        every: use only every n-th frame of a video or camera.
        on_unreadable: called with a message for each unreadable picture or video, which is skipped, and for each video
            whose frames end too early.
    """
    for source in inputs:
        if source.broken:
            on_unreadable(f"skipped: {source.broken}")
            continue
        if source.is_video:
            read = videos.frames(source.path if source.camera is None else source.camera, every, on_unreadable)
            yield from (Frame(source, number, image) for number, image in read)
            continue
        try:
            yield Frame(source, 0, decode(source.path, source.name))
        except UnreadableImageError as error:
            on_unreadable(f"skipped: {error}")


def batches(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    """Yield batches of ``size`` frames, or fewer large ones; frames of a camera one by one, without delay.

    A batch has no more pixels than the detector processes at once, so that it is predicted while the next is decoded.
    A batch does not cross blocks, so that a shard has the same batches as a run on all inputs.
    """
    batch: list[Frame] = []
    for frame in frames:
        if batch and batch[-1].source.block != frame.source.block:
            yield batch
            batch = []
        batch.append(frame)
        pixels = sum(int(np.prod(each.image.shape[:2])) for each in batch)
        if len(batch) >= size or pixels >= STACKED_PIXELS or frame.source.camera is not None:
            yield batch
            batch = []
    if batch:
        yield batch
