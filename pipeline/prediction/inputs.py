"""What is predicted: pictures, folders of them, videos and cameras, as one stream of frames in constant memory."""

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
"""Stands for a list of paths on the standard input, one a line."""

CAMERA_DIGITS = 2
"""Digits of a camera's number, at most: a longer number is a mistyped file or folder."""


BLOCK = 64
"""Pictures that a part of the inputs is made of: some batches, so that hardly any is cut short."""


@dataclass(frozen=True, slots=True)
class Source:
    """Something that frames come from.

    Attributes:
        name: what rows call it; for a file its path.
        drawing: where its annotated copy goes: a path relative to the folder of drawings, without a suffix.
        path: of the file; empty for a camera, and for a picture that is in memory already.
        camera: its index; None for a file.
        video: what is known of a video's file; None for a picture, a camera or a video that cannot be opened.
        broken: why a video cannot be opened, or a file of a folder is gone; empty: neither is the case.
        block: only faces of sources of one block are looked for together.
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


@dataclass(frozen=True, slots=True)
class Named:
    """Something that an input names; as little as possible, as there may be millions.

    Attributes:
        path: a file's path, or a camera's number.
        folder: the folder that was named, in which the file was found; None: the file itself was named.
        camera: whether it is one.
    """

    path: str
    folder: Path | None = None
    camera: bool = False

    @property
    def is_picture(self) -> bool:
        """Whether it is neither a video nor a camera."""
        return not self.camera and not videos.is_video(Path(self.path))

    def source(self, block: int) -> Source:
        """The source; of a video the first frame is read.

        Raises:
            DatasetError: there is no such file.
        """
        if self.camera:
            return Source(f"camera {self.path}", Path(f"camera-{self.path}"), camera=int(self.path), block=block)
        path = Path(self.path)
        if self.folder is None:
            return _file(path, Path(path.name), block)
        # Below the folder's own name, so that two folders may have pictures of the same name.
        drawing = self.folder.resolve().name / path.relative_to(self.folder)
        if not path.exists():  # it was there: nobody named it, and it must not stop the others
            broken = f"{as_text(path)}: a link that leads nowhere, or a file that vanished"
            return Source(as_text(path), drawing.with_suffix(""), path, broken=broken, block=block)
        return _file(path, drawing, block)


def sources(inputs: Sequence[str]) -> list[Source]:
    """Everything that files and folders name.

    Args:
        inputs: files, and folders for the pictures and videos in them, at any depth.

    Raises:
        DatasetError: something is not there or is a camera or the standard input, or a folder has neither pictures nor
            videos.
    """
    return sources_of(list_inputs(inputs, files_only=True), WHOLE)


def sources_of(named: Sequence[Named], shard: Shard) -> list[Source]:
    """A part of what was named; the units that are divided are blocks of pictures, and videos.

    Raises:
        DatasetError: as ``sources``.
    """
    blocks = list(_blocks(named))
    return [one.source(number) for number, block in enumerate(blocks[shard.part(len(blocks))]) for one in named[block]]


def _blocks(named: Sequence[Named]) -> Iterator[slice]:
    """Runs of at most ``BLOCK`` pictures, and each video or camera by itself."""
    start, goes_on = 0, False
    for place, one in enumerate(named):
        is_picture = one.is_picture
        if place > start and not (goes_on and is_picture and place - start < BLOCK):
            yield slice(start, place)
            start = place
        goes_on = is_picture
    yield slice(start, len(named))


def list_inputs(inputs: Sequence[str], *, files_only: bool = False) -> list[Named]:
    """Everything that ``inputs`` name, in order; no file is opened.

    Args:
        inputs: files, folders (for the pictures and videos in them, at any depth), the numbers of cameras, or ``-`` for
            paths from the standard input.
        files_only: refuse cameras and the standard input.

    Raises:
        DatasetError: a folder has neither pictures nor videos, nothing is named, or what is named is refused.
    """
    found: list[Named] = []
    for text in inputs:
        is_camera = text.isdecimal() and len(text) <= CAMERA_DIGITS and not Path(text).exists()
        if files_only and (is_camera or text == STDIN):
            what = "a camera" if is_camera else "the standard input"
            raise DatasetError(f"{text}: {what} cannot be used here; give files or folders, or arrays to model.predict")
        if text == STDIN:
            found += [Named(line) for line in _listed()]
        elif not text:  # it would stand for the folder that the command is called in
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
    """The paths on the standard input, one a line.

    They are read as bytes: a name may be none in the encoding of the standard input.

    Raises:
        DatasetError: there are zero bytes, which no path has.
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
        except DatasetError as error:  # like a picture that cannot be decoded, it does not stop the others
            broken = str(error)
    return Source(as_text(path), drawing.with_suffix(""), path, video=video, broken=broken, block=block)


def read_frames(inputs: Iterable[Source], every: int, on_unreadable: Callable[[str], None]) -> Iterator[Frame]:
    """All pictures and frames, in order, read one by one.

    Args:
        inputs: where they come from.
        every: of a video or camera, only every so many-th frame is taken.
        on_unreadable: called with a message for each picture that cannot be decoded and each video that cannot be
            opened, which are passed over, and for each video whose frames end too early.
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
    """``size`` frames at a time, fewer where they are large; those of a camera one by one, as soon as they are there.

    A batch has no more pixels than the detector takes at once: so a batch is predicted while the next is decoded. It
    ends with its block, so that a part of the inputs has the same batches as all of them.
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
