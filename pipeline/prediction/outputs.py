"""The outputs of predictions: rows to the terminal or a file, annotated copies to a folder. Files appear only complete.

Rows are CSV, JSON lines, or a human-readable table, narrow or wide.
"""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TextIO

import numpy as np
from PIL import Image as Pillow

from pipeline.datasets.parts.videos import DEFAULT_RATE, VideoWriter
from pipeline.errors import DatasetError, ParamsError
from pipeline.files.atomic import atomic_folder, atomic_path, require_apart, require_free, storage_errors
from pipeline.files.names import as_text, fitted, shortened
from pipeline.labels import DRAWN_MARK, EXPRESSIONS
from pipeline.prediction.drawing import draw_faces
from pipeline.prediction.inputs import Frame
from pipeline.prediction.predictor import Prediction
from pipeline.registry import unknown

if TYPE_CHECKING:
    import pandas as pd

Format = Literal["csv", "jsonl", "table", "wide"]

COLUMNS = (
    *("source", "frame", "face", "x1", "y1", "x2", "y2", "score", "expression", "confidence"),
    *(f"p_{name}" for name in EXPRESSIONS),
    "model",
)
"""``face`` is the number of a picture's face, or of a video's track, from 1."""

DTYPES = {
    **dict.fromkeys(COLUMNS, "float64"),
    **dict.fromkeys(("source", "expression", "model"), "object"),
    **{"frame": "Int64", "face": "int64"},
}
"""The dtypes of a table's columns, also without rows."""

SOURCE_WIDTH, WIDE_SOURCE_WIDTH = 38, 32
"""Width of the source's name in the table of 80 columns and in the wide table, in characters."""

JPEG_QUALITY = 92


@dataclass(frozen=True)
class Destination:
    """The output paths of a run.

    Attributes:
        rows: file of the rows; None: the terminal.
        format: format of the rows.
        drawings: folder of annotated copies; None: no copies.
    """

    rows: Path | None
    format: Format
    drawings: Path | None

    def require_free(self, inputs: Sequence[str]) -> None:
        """Check that nothing would be overwritten, and that no later run would take drawings for inputs.

        Args:
            inputs: as the user names them; some may be folders.

        Raises:
            DatasetError: an output already exists, one is inside the other, or the drawings are inside an input.
        """
        if self.rows is not None and self.drawings is not None:
            rows, drawings = self.rows.resolve(), self.drawings.resolve()
            if rows.is_relative_to(drawings) or drawings.is_relative_to(rows):
                raise DatasetError(f"{self.drawings}: --out and --draw lie in one another; name two places")
        require_free(self.rows, "--out")
        require_free(self.drawings, "--draw")
        if self.drawings is not None:
            for folder in filter(Path.is_dir, map(Path, inputs)):
                require_apart(self.drawings, folder, "--draw")


@dataclass(frozen=True)
class Row:
    """One predicted face.

    Attributes:
        source: path of the picture or video, as text.
        frame: number of the frame in a video, from 0; None for a picture.
        number: number of the face, from 1.
        found: the prediction.
        model: the model, as the user named it.
        drawn: whether the model was trained on drawn faces; the row then has the mark.
    """

    source: str
    frame: int | None
    number: int
    found: Prediction
    model: str
    drawn: bool

    @property
    def mark(self) -> str:
        """The mark appended to the model's name and predictions; may be empty."""
        return f" {DRAWN_MARK}" if self.drawn else ""


class Output(Protocol):
    """Receives the faces of each frame, in order."""

    def add(self, frame: Frame, faces: Sequence[Prediction], numbers: Sequence[int]) -> None:
        """Write the faces of a frame.

        Args:
            frame: the picture or frame.
            faces: its faces.
            numbers: the number of each face, in a video that of its track.

        Raises:
            StorageError: they cannot be written.
        """
        ...


@contextmanager
def open_outputs(to: Destination, model: str, drawn: bool, every: int) -> Iterator[list[Output]]:
    """Open the outputs of a run. Files get their final names only if the run succeeds.

    Args:
        to: the output paths.
        model: the model, as the user named it.
        drawn: whether the model was trained on drawn faces; rows and drawings are then marked.
        every: only every n-th frame of a video is predicted; the frame rate of its copy is divided by n.

    Raises:
        StorageError: an output cannot be written.
    """
    with ExitStack() as stack:
        drawings = None
        if to.drawings is not None:
            drawings = Drawings(stack.enter_context(atomic_folder(to.drawings)), drawn, every)
        file = sys.stdout
        if to.rows is not None:
            temporary = stack.enter_context(atomic_path(to.rows))
            file = stack.enter_context(temporary.open("w", encoding="utf-8", newline=""))
        yield [Rows(file, to.format, as_text(model), drawn), *([drawings] if drawings else [])]
        # Finish the drawings here: if that fails, no output gets its final name.
        if drawings is not None:
            drawings.close()


class Rows:
    """Writes one row per face."""

    def __init__(self, file: TextIO, kind: Format, model: str, drawn: bool) -> None:
        self._file, self._kind, self._has_header = file, kind, False
        self._model, self._drawn = model, drawn

    def add(self, frame: Frame, faces: Sequence[Prediction], numbers: Sequence[int]) -> None:
        """Write the rows, after the header if they are the first."""
        if faces and not self._has_header:
            self._file.write(header(self._kind))
            self._has_header = True
        at = frame.number if frame.source.is_video else None
        for number, face in zip(numbers, faces, strict=True):
            self._file.write(FORMATS[self._kind](Row(frame.source.name, at, number, face, self._model, self._drawn)))
        self._file.flush()


class Table:
    """Collects rows for pandas, with the columns of the CSV; numbers are not rounded."""

    def __init__(self, model: str, drawn: bool) -> None:
        self._model, self._drawn = as_text(model), drawn
        self._rows: list[tuple[object, ...]] = []

    def add(self, frame: Frame, faces: Sequence[Prediction], numbers: Sequence[int]) -> None:
        """Store the rows."""
        at = frame.number if frame.source.is_video else None
        for number, found in zip(numbers, faces, strict=True):
            row = Row(frame.source.name, at, number, found, self._model, self._drawn)
            place, shares = found.face, found.by_expression().values()
            model = f"{row.model}{row.mark}"
            self._rows.append(
                (row.source, at, number, *place.box, place.score, found.expression, found.confidence, *shares, model)
            )

    def frame(self) -> "pd.DataFrame":
        """Return all rows; column ``frame`` is NA for pictures."""
        import pandas as pd

        return pd.DataFrame(self._rows, columns=list(COLUMNS)).astype(DTYPES)


class Drawings:
    """Writes an annotated copy of every picture and video to a folder."""

    def __init__(self, folder: Path, drawn: bool, every: int) -> None:
        self._folder, self._drawn, self._every = folder, drawn, every
        self._names: set[Path] = set()
        self._video: VideoWriter | None = None
        self._last: Frame | None = None

    def add(self, frame: Frame, faces: Sequence[Prediction], numbers: Sequence[int]) -> None:
        """Draw a frame, even if it has no faces."""
        if not frame.source.is_video:
            image = draw_faces(frame.image, faces, numbers, self._drawn)
            with storage_errors(path := self._new_path(frame, ".jpg")):
                Pillow.fromarray(image).save(path, quality=JPEG_QUALITY)
            return
        # A video file cannot change the size of its frames: where a source does, another file begins.
        last = self._last
        if last is None or last.source is not frame.source or last.image.shape != frame.image.shape:
            self._begin_video(frame)
        assert self._video is not None
        self._video.write(draw_faces(frame.image, faces, numbers, self._drawn))

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
        """Return an unused path: pictures from several folders may have the same name."""
        plain = frame.source.drawing
        name, number = plain.with_name(fitted(plain.name, suffix)), 2
        while name in self._names:
            name, number = plain.with_name(fitted(plain.name, f"-{number}{suffix}")), number + 1
        self._names.add(name)
        path = self._folder / name
        with storage_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path


def format_of(name: str | None, out: Path | None) -> Format:
    """Return the format ``name``; by default that of the suffix of ``out``, else CSV, or the table without a file.

    Raises:
        ParamsError: the name is unknown.
    """
    if name is None:
        by_suffix: Format = "jsonl" if out and out.suffix in (".jsonl", ".ndjson") else "csv"
        return "table" if out is None else by_suffix
    if name not in FORMATS:
        raise ParamsError(f"--format: unknown format {unknown(name, FORMATS)}")
    return name


def header(kind: Format) -> str:
    """Return the lines before the rows."""
    if kind == "csv":
        return _line(COLUMNS)
    if kind == "table":
        return f"{'source':<{SOURCE_WIDTH}} {'face':>5}  {'expression':<11} {'%':>3}   {'second best':<16}\n"
    if kind == "wide":
        names = " ".join(f"{name:>9}" for name in EXPRESSIONS)
        return f"{'source':<{WIDE_SOURCE_WIDTH}} {'frame':>6} {'face':>4} {'box':>23} {'score':>5} {'':>16} {names}\n"
    return ""


def csv_text(rows: Iterable[Row]) -> str:
    """Return a whole CSV file: header and rows."""
    return header("csv") + "".join(map(_csv, rows))


def _csv(row: Row) -> str:
    found = row.found
    box = [f"{edge:.1f}" for edge in found.face.box]
    score = "" if found.face.score is None else f"{found.face.score:.4f}"
    values = [row.source, _frame_number(row), row.number, *box, score, found.expression, f"{found.confidence:.4f}"]
    return _line([*values, *(f"{value:.4f}" for value in found.probabilities), f"{row.model}{row.mark}"])


def _jsonl(row: Row) -> str:
    value = {
        "source": row.source,
        "frame": row.frame,
        "face": row.number,
        **row.found.as_json(),
        "model": f"{row.model}{row.mark}",
    }
    return json.dumps(value, ensure_ascii=False) + "\n"


def _table(row: Row) -> str:
    """Return a line of 80 columns, with the two most probable expressions in per cent."""
    found = row.found
    best, second = np.argsort(-found.probabilities, kind="stable")[:2]
    where = row.source if row.frame is None else f"{row.source}, frame {row.frame}"
    other = f"{EXPRESSIONS[second]} {100 * found.probabilities[second]:.0f}"
    share = f"{100 * found.probabilities[best]:.0f}"
    name = f"{EXPRESSIONS[best]}{row.mark}"
    return f"{shortened(where, SOURCE_WIDTH):<{SOURCE_WIDTH}} {row.number:>5}  {name:<11} {share:>3}   {other:<16}\n"


def _wide(row: Row) -> str:
    found = row.found
    box = " ".join(f"{edge:5.0f}" for edge in found.face.box)
    label = f"{found.expression} {found.confidence:.0%}{row.mark}"
    probabilities = " ".join(f"{value:>9.1%}" for value in found.probabilities)
    source = f"{shortened(row.source, WIDE_SOURCE_WIDTH):<{WIDE_SOURCE_WIDTH}}"
    place = f"{source} {_frame_number(row):>6} {row.number:>4} {box:>23}"
    return f"{place} {found.face.score:5.2f} {label:>16} {probabilities}\n"


FORMATS: dict[Format, Callable[[Row], str]] = {"csv": _csv, "jsonl": _jsonl, "table": _table, "wide": _wide}
"""Functions that format a row, with line end: boxes to a tenth of a pixel, probabilities to four digits."""


def _frame_number(row: Row) -> str:
    return "" if row.frame is None else str(row.frame)


def _line(values: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()
