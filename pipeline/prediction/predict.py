"""One run of prediction: frames in, faces found, classified, numbered and written."""

import contextlib
import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline.data.batches import prefetched
from pipeline.errors import DatasetError
from pipeline.files.atomic import require_free
from pipeline.prediction import outputs
from pipeline.prediction.inputs import Frame, Source, batches, frames
from pipeline.prediction.outputs import Output
from pipeline.prediction.predictor import Prediction, Predictor
from pipeline.prediction.rows import Format
from pipeline.prediction.tracks import Tracks
from pipeline.progress import progress_bar


@dataclass
class Counts:
    """What a run came to: frames read, faces found, pictures that could not be read."""

    frames: int = 0
    faces: int = 0
    unreadable: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Destination:
    """rows: the file of the rows (None: the terminal), of this kind. drawings: the folder of drawings, if any."""

    rows: Path | None
    kind: Format
    drawings: Path | None

    def require_free(self) -> None:
        """Check that nothing would be overwritten.

        Raises:
            DatasetError: an output is there already.
        """
        require_free(self.rows, "--out")
        require_free(self.drawings, "--draw")


def predict(of: Sequence[Source], predictor: Predictor, to: Destination, every: int, shown: bool) -> Counts:
    """Write every face of ``of``; of what moves every ``every``-th frame. shown: with a bar.

    Memory does not grow with the number or length of the inputs. A camera is watched until Ctrl-C.

    Raises:
        DatasetError: nothing could be read, or there is no face in it: then nothing is written.
        StorageError: an output cannot be written.
    """
    counts = Counts()
    total = None if any(source.camera is not None for source in of) else sum(_length(source, every) for source in of)
    progress: tqdm[Any] = progress_bar(total=total, desc="predict", unit="picture", disable=not shown)
    with progress, outputs.opened(to.rows, to.kind, to.drawings, every) as open_outputs:
        stream = predicted(frames(of, every, counts.unreadable.append), predictor)
        with contextlib.closing(stream), _until_interrupted(watched=total is None):
            _write(stream, open_outputs, counts, progress)
        for told in counts.unreadable:
            tqdm.write(told, file=sys.stderr)
        _require_faces(counts, predictor)
    return counts


def predicted(of: Iterator[Frame], predictor: Predictor) -> Generator[tuple[Frame, list[Prediction]]]:
    """The frames with their faces. They are read and decoded in a thread, ahead of those that are looked at."""
    for batch in prefetched(batches(of, predictor.faces.batch_size)):
        yield from zip(batch, predictor.predict([frame.image for frame in batch]), strict=True)


def _write(
    stream: Iterator[tuple[Frame, list[Prediction]]], to: Sequence[Output], counts: Counts, progress: "tqdm[Any]"
) -> None:
    of, tracks = None, Tracks()
    for frame, faces in stream:
        if frame.source is not of:
            of, tracks = frame.source, Tracks()
        boxes = [found.face.box for found in faces]
        numbers = tracks.follow(boxes) if frame.source.moves else list(range(1, len(faces) + 1))
        for output in to:
            output.add(frame, faces, numbers)
        counts.frames += 1
        counts.faces += len(faces)
        progress.update()


@contextlib.contextmanager
def _until_interrupted(watched: bool) -> Iterator[None]:
    """Ctrl-C is how watching a camera ends."""
    try:
        yield
    except KeyboardInterrupt:
        if not watched:
            raise


def _length(source: Source, every: int) -> int:
    return -(-source.film.frames // every) if source.film else 1


def _require_faces(counts: Counts, predictor: Predictor) -> None:
    if not counts.frames:
        raise DatasetError(f"nothing could be read: {'; '.join(counts.unreadable)}")
    if not counts.faces:
        raise DatasetError(
            f"no face found in {counts.frames} pictures; faces smaller than {predictor.faces.min_face} pixels are not "
            "looked for: try -S min_face=20"
        )
