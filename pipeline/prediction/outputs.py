"""Where predictions go: rows to the terminal or into a file, drawings into a folder; all of it or nothing.

Rows are CSV, JSON lines, or a table for people.
"""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TextIO

from PIL import Image as Pillow

from pipeline.datasets.parts.videos import DEFAULT_RATE, VideoWriter
from pipeline.errors import ParamsError
from pipeline.files.atomic import atomic_folder, atomic_path, require_free
from pipeline.labels import EXPRESSIONS
from pipeline.prediction.drawing import draw_faces
from pipeline.prediction.inputs import Frame
from pipeline.prediction.predictor import Prediction
from pipeline.registry import unknown

Format = Literal["csv", "jsonl", "table"]

COLUMNS = ("source", "frame", "face", "x1", "y1", "x2", "y2", "score", "expression", "confidence")
"""Followed by p_NAME for each expression. ``face`` is a number from 1: of a picture's face, or of a video's track."""

SOURCE_WIDTH = 32
"""Characters for the name of the source in the table for people."""

JPEG_QUALITY = 92


@dataclass(frozen=True)
class Destination:
    """Where a run writes.

    Attributes:
        rows: the file of the rows; None: the terminal.
        format: of the rows.
        drawings: the folder of annotated copies; None: none are drawn.
    """

    rows: Path | None
    format: Format
    drawings: Path | None

    def require_free(self) -> None:
        """Refuse to overwrite anything.

        Raises:
            DatasetError: an output is there already.
        """
        require_free(self.rows, "--out")
        require_free(self.drawings, "--draw")


class Output(Protocol):
    """Takes the faces of each frame, in order."""

    def add(self, frame: Frame, faces: Sequence[Prediction], numbers: Sequence[int]) -> None:
        """Write the faces of a frame.

        Args:
            frame: the picture or frame.
            faces: its faces.
            numbers: of each face, or in a video of its track.

        Raises:
            StorageError: they cannot be written.
        """
        ...


@contextmanager
def open_outputs(to: Destination, every: int) -> Iterator[list[Output]]:
    """The outputs of one run; what is written appears under its name when all went well.

    Args:
        to: where they are.
        every: of a video, only every so many-th frame will come; its copy runs so much slower.

    Raises:
        StorageError: something cannot be written.
    """
    with ExitStack() as stack:
        drawings = Drawings(stack.enter_context(atomic_folder(to.drawings)), every) if to.drawings is not None else None
        file = sys.stdout
        if to.rows is not None:
            temporary = stack.enter_context(atomic_path(to.rows))
            file = stack.enter_context(temporary.open("w", encoding="utf-8", newline=""))
        yield [Rows(file, to.format), *([drawings] if drawings else [])]
        # A drawing that fails must fail before anything gets its name.
        if drawings is not None:
            drawings.close()


class Rows:
    """One row a face."""

    def __init__(self, file: TextIO, kind: Format) -> None:
        self._file, self._kind, self._has_header = file, kind, False

    def add(self, frame: Frame, faces: Sequence[Prediction], numbers: Sequence[int]) -> None:
        """Write the rows, before the first of all the header."""
        if faces and not self._has_header:
            self._file.write(header(self._kind))
            self._has_header = True
        for number, face in zip(numbers, faces, strict=True):
            self._file.write(row(self._kind, frame, number, face))
        self._file.flush()


class Drawings:
    """An annotated copy of every picture and video, in a folder."""

    def __init__(self, folder: Path, every: int) -> None:
        self._folder, self._every = folder, every
        self._names: set[Path] = set()
        self._video: VideoWriter | None = None
        self._last: Frame | None = None

    def add(self, frame: Frame, faces: Sequence[Prediction], numbers: Sequence[int]) -> None:
        """Draw a frame, also one without faces."""
        if not frame.source.is_video:
            image = draw_faces(frame.image, faces, [""] * len(faces))
            Pillow.fromarray(image).save(self._new_path(frame, ".jpg"), quality=JPEG_QUALITY)
            return
        # A video file cannot change the size of its frames: where a source does, another file begins.
        last = self._last
        if last is None or last.source is not frame.source or last.image.shape != frame.image.shape:
            self._begin_video(frame)
        assert self._video is not None
        self._video.write(draw_faces(frame.image, faces, [f"#{number} " for number in numbers]))

    def close(self) -> None:
        """Finish the video that is being written, if there is one."""
        if self._video is not None:
            video, self._video = self._video, None
            video.close()

    def _begin_video(self, frame: Frame) -> None:
        self.close()
        rate = frame.source.video.rate if frame.source.video else DEFAULT_RATE
        height, width = frame.image.shape[:2]
        self._video = VideoWriter(self._new_path(frame, ".mp4"), rate / self._every, width, height)
        self._last = frame

    def _new_path(self, frame: Frame, suffix: str) -> Path:
        """A path that no other drawing has: pictures from several folders may have the same name."""
        plain = frame.source.drawing
        name, number = plain.with_name(plain.name + suffix), 2
        while name in self._names:
            name, number = plain.with_name(f"{plain.name}-{number}{suffix}"), number + 1
        self._names.add(name)
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def format_of(name: str | None, out: Path | None) -> Format:
    """The format of the rows: as ``name`` says; without it as ``out`` ends, else CSV; without a file the table.

    Raises:
        ParamsError: there is no format of this name.
    """
    if name is None:
        by_suffix: Format = "jsonl" if out and out.suffix in (".jsonl", ".ndjson") else "csv"
        return "table" if out is None else by_suffix
    if name not in FORMATS:
        raise ParamsError(f"--format: unknown format {unknown(name, FORMATS)}")
    return name


def header(kind: Format) -> str:
    """The lines before the rows."""
    if kind == "csv":
        return _line([*COLUMNS, *(f"p_{name}" for name in EXPRESSIONS)])
    if kind == "table":
        names = " ".join(f"{name:>9}" for name in EXPRESSIONS)
        return f"{'source':<{SOURCE_WIDTH}} {'frame':>6} {'face':>4} {'box':>23} {'score':>5} {'':>14} {names}\n"
    return ""


def row(kind: Format, frame: Frame, number: int, found: Prediction) -> str:
    """One face, with the end of its line. Boxes to a tenth of a pixel, probabilities to four digits."""
    return FORMATS[kind](frame, number, found)


def _csv(frame: Frame, number: int, found: Prediction) -> str:
    box = [f"{edge:.1f}" for edge in found.face.box]
    values = [frame.source.name, _frame_number(frame), number, *box, f"{found.face.score:.4f}", found.expression]
    return _line([*values, f"{found.confidence:.4f}", *(f"{value:.4f}" for value in found.probabilities)])


def _jsonl(frame: Frame, number: int, found: Prediction) -> str:
    value = {
        "source": frame.source.name,
        "frame": frame.number if frame.source.is_video else None,
        "face": number,
        **found.as_json(),
    }
    return json.dumps(value, ensure_ascii=False) + "\n"


def _table(frame: Frame, number: int, found: Prediction) -> str:
    name = frame.source.name
    name = name if len(name) <= SOURCE_WIDTH else f"…{name[1 - SOURCE_WIDTH :]}"
    box = " ".join(f"{edge:5.0f}" for edge in found.face.box)
    label = f"{found.expression} {found.confidence:.0%}"
    probabilities = " ".join(f"{value:>9.1%}" for value in found.probabilities)
    place = f"{name:<{SOURCE_WIDTH}} {_frame_number(frame):>6} {number:>4} {box:>23}"
    return f"{place} {found.face.score:5.2f} {label:>14} {probabilities}\n"


FORMATS: dict[Format, Callable[[Frame, int, Prediction], str]] = {"csv": _csv, "jsonl": _jsonl, "table": _table}


def _frame_number(frame: Frame) -> str:
    return str(frame.number) if frame.source.is_video else ""


def _line(values: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()
