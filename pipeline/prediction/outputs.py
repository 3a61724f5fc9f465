"""Where predictions go: rows to the terminal or into a file, drawings into a folder; all of it or nothing."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal, Protocol, TextIO

from PIL import Image as Pillow

from pipeline.datasets.parts.videos import DEFAULT_RATE, VideoWriter
from pipeline.errors import ParamsError
from pipeline.files.atomic import atomic_folder, atomic_path
from pipeline.labels import EXPRESSIONS
from pipeline.prediction.drawing import annotated
from pipeline.prediction.inputs import Frame
from pipeline.prediction.predictor import Prediction
from pipeline.registry import unknown

Format = Literal["csv", "jsonl", "table"]

COLUMNS = ("source", "frame", "face", "x1", "y1", "x2", "y2", "score", "expression", "confidence")
"""Then p_NAME for each expression. face: its number in a picture from 1, in a video that of its track."""

SOURCE_WIDTH = 32
"""Characters for the name of the source in the table for people."""

JPEG_QUALITY = 92


class Output(Protocol):
    """Takes the faces of each frame, in order. numbers: of a picture's faces, or of a video's tracks."""

    def add(self, frame: Frame, faces: Sequence[Prediction], numbers: Sequence[int]) -> None:
        """Write them."""
        ...


@contextmanager
def open_outputs(out: Path | None, kind: Format, draw: Path | None, every: int) -> Iterator[list[Output]]:
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
            self._file.write(header(self._kind))
            self._begun = True
        for number, face in zip(numbers, faces, strict=True):
            self._file.write(row(self._kind, frame, number, face))
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


def format_of(name: str | None, out: Path | None) -> Format:
    """The format that is asked for; else that by which ``out`` is named, CSV for other names; else the table.

    Raises:
        ParamsError: there is none of this name.
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
    values = [frame.source.name, _frame(frame), number, *box, f"{found.face.score:.4f}", found.expression]
    return _line([*values, f"{found.confidence:.4f}", *(f"{value:.4f}" for value in found.probabilities)])


def _jsonl(frame: Frame, number: int, found: Prediction) -> str:
    value = {
        "source": frame.source.name,
        "frame": frame.number if frame.source.moves else None,
        "face": number,
        **found.as_json(),
    }
    return json.dumps(value, ensure_ascii=False) + "\n"


def _table(frame: Frame, number: int, found: Prediction) -> str:
    name = frame.source.name
    name = name if len(name) <= SOURCE_WIDTH else f"…{name[1 - SOURCE_WIDTH :]}"
    box = " ".join(f"{edge:5.0f}" for edge in found.face.box)
    label = f"{found.expression} {found.confidence:.0%}"
    shares = " ".join(f"{value:>9.1%}" for value in found.probabilities)
    place = f"{name:<{SOURCE_WIDTH}} {_frame(frame):>6} {number:>4} {box:>23}"
    return f"{place} {found.face.score:5.2f} {label:>14} {shares}\n"


FORMATS: dict[Format, Callable[[Frame, int, Prediction], str]] = {"csv": _csv, "jsonl": _jsonl, "table": _table}


def _frame(frame: Frame) -> str:
    return str(frame.number) if frame.source.moves else ""


def _line(values: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()
