"""Where predictions go: rows to the terminal or into a file, drawings into a folder; all of it or nothing."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol, TextIO

from PIL import Image as Pillow

from pipeline.datasets.parts.videos import DEFAULT_RATE, VideoWriter
from pipeline.files.atomic import atomic_folder, atomic_path
from pipeline.prediction import rows
from pipeline.prediction.drawing import annotated
from pipeline.prediction.inputs import Frame
from pipeline.prediction.predictor import Prediction
from pipeline.prediction.rows import Format

JPEG_QUALITY = 92


class Output(Protocol):
    """Takes the faces of each frame, in order. numbers: of a picture's faces, or of a video's tracks."""

    def add(self, frame: Frame, faces: Sequence[Prediction], numbers: Sequence[int]) -> None:
        """Write them."""
        ...


@contextmanager
def opened(out: Path | None, kind: Format, draw: Path | None, every: int) -> Iterator[list[Output]]:
    """The outputs of one run; what is written appears under its name when all went well.

    Raises:
        StorageError: something cannot be written.
    """
    with ExitStack() as stack:
        drawings = Drawings(stack.enter_context(atomic_folder(draw)), every) if draw is not None else None
        file = sys.stdout
        if out is not None:
            temporary = stack.enter_context(atomic_path(out))
            file = stack.enter_context(temporary.open("w", encoding="utf-8", newline=""))
        yield [Rows(file, kind), *([drawings] if drawings else [])]
        # A drawing that fails must fail before anything gets its name.
        if drawings is not None:
            drawings.close()


class Rows:
    """One row a face."""

    def __init__(self, file: TextIO, kind: Format) -> None:
        self._file, self._kind, self._begun = file, kind, False

    def add(self, frame: Frame, faces: Sequence[Prediction], numbers: Sequence[int]) -> None:
        """Write the rows; the header comes with the first."""
        if faces and not self._begun:
            self._file.write(rows.header(self._kind))
            self._begun = True
        for number, face in zip(numbers, faces, strict=True):
            self._file.write(rows.row(self._kind, frame, number, face))
        self._file.flush()


class Drawings:
    """An annotated copy of every picture and video, in a folder."""

    def __init__(self, folder: Path, every: int) -> None:
        """every: of a video's frames, which its copy has alone."""
        self._folder, self._every = folder, every
        self._taken: set[Path] = set()
        self._film: VideoWriter | None = None
        self._of: Frame | None = None

    def add(self, frame: Frame, faces: Sequence[Prediction], numbers: Sequence[int]) -> None:
        """Draw a frame, also one without faces.

        Raises:
            StorageError: it cannot be written.
        """
        if not frame.source.moves:
            image = annotated(frame.image, faces, [""] * len(faces))
            Pillow.fromarray(image).save(self._path(frame, ".jpg"), quality=JPEG_QUALITY)
            return
        if self._of is None or self._of.source is not frame.source or self._of.image.shape != frame.image.shape:
            self._begin(frame)
        assert self._film is not None
        self._film.write(annotated(frame.image, faces, [f"#{number} " for number in numbers]))

    def close(self) -> None:
        """Finish the video that is being written, if there is one."""
        if self._film is not None:
            film, self._film = self._film, None
            film.close()

    def _begin(self, frame: Frame) -> None:
        """A new file for a new video, or for one whose frames change their size."""
        self.close()
        rate = frame.source.film.rate if frame.source.film else DEFAULT_RATE
        height, width = frame.image.shape[:2]
        self._film = VideoWriter(self._path(frame, ".mp4"), rate / self._every, width, height)
        self._of = frame

    def _path(self, frame: Frame, suffix: str) -> Path:
        """A name that no other drawing has: pictures from several places may be called the same."""
        place = frame.source.place
        name, again = place.with_name(place.name + suffix), 2
        while name in self._taken:
            name, again = place.with_name(f"{place.name}-{again}{suffix}"), again + 1
        self._taken.add(name)
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
