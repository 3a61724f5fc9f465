"""What is predicted: pictures, folders of them, videos and cameras, as one stream of frames in constant memory."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.datasets.parts import videos
from pipeline.datasets.parts.folders import files_below
from pipeline.datasets.parts.pictures import decode, is_picture
from pipeline.errors import DatasetError, UnreadableImageError
from pipeline.faces.crop import Image
from pipeline.faces.mtcnn import STACKED_PIXELS

STDIN = "-"
"""Stands for a list of paths on the standard input, one a line."""


@dataclass(frozen=True)
class Source:
    """Something that frames come from.

    name: what rows call it, for a file its path. place: where its drawing goes, relative, without a suffix.
    camera: its index; None for a file. film: what is known of a video; None for a picture or camera.
    """

    name: str
    place: Path
    camera: int | None = None
    film: videos.VideoInfo | None = None

    @property
    def moves(self) -> bool:
        """Whether it has several frames, in which a face can be followed."""
        return self.camera is not None or self.film is not None


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture, or the frame of a video that is its ``number``-th (from 0; of a picture 0). image: uint8 H×W×3 RGB."""

    source: Source
    number: int
    image: Image


def sources(inputs: Sequence[str]) -> list[Source]:
    """All that ``inputs`` name: files, folders (pictures and videos at any depth), ``-``, or the number of a camera.

    Raises:
        DatasetError: something is not there, a folder has neither pictures nor videos, or a video cannot be opened.
    """
    found: list[Source] = []
    for text in inputs:
        if text == STDIN:
            found += [_file(Path(line), Path(Path(line).name)) for line in map(str.strip, sys.stdin) if line]
        elif text.isdecimal() and not Path(text).exists():
            found.append(Source(f"camera {text}", Path(f"camera-{text}"), camera=int(text)))
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


def _file(path: Path, place: Path) -> Source:
    if not path.exists():
        raise DatasetError(f"{path}: no such file or folder")
    if path.is_dir():
        raise DatasetError(f"{path}: a folder; name folders as arguments, not in the list")
    return Source(str(path), place.with_suffix(""), film=videos.probe(path) if videos.is_video(path) else None)


def frames(of: Iterable[Source], every: int, tell: Callable[[str], None]) -> Iterator[Frame]:
    """All pictures, every ``every``-th frame of what moves, in order; what cannot be read is told and passed over."""
    for source in of:
        if source.moves:
            read = videos.frames(source.name if source.camera is None else source.camera, every)
            yield from (Frame(source, number, image) for number, image in read)
            continue
        try:
            yield Frame(source, 0, decode(Path(source.name), source.name))
        except UnreadableImageError as error:
            tell(f"passed over: {error}")


def batches(of: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    """``size`` frames at a time, fewer where they are large; a camera's one by one, as soon as they are there.

    No more than the detector takes at once: then the first are looked at while the next are decoded.
    """
    batch: list[Frame] = []
    for frame in of:
        batch.append(frame)
        pixels = sum(int(np.prod(each.image.shape[:2])) for each in batch)
        if len(batch) >= size or pixels >= STACKED_PIXELS or frame.source.camera is not None:
            yield batch
            batch = []
    if batch:
        yield batch
