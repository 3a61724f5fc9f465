"""The work of ``pocan predict``: read frames, find and classify their faces, and write them."""

import contextlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from pipeline.data.batches import prefetched
from pipeline.errors import DatasetError
from pipeline.prediction.inputs import Frame, Source, batches, read_frames
from pipeline.prediction.outputs import Destination, Output, open_outputs
from pipeline.prediction.predictor import Prediction, Predictor
from pipeline.prediction.tracks import Tracks
from pipeline.progress import progress_bar, say


@dataclass
class Searched:
    """A picture, video or camera that was searched for faces.

    Attributes:
        source: the picture, video or camera.
        frames: number of frames read; 1 for a picture.
        empty: number of frames without a face.
    """

    source: Source
    frames: int = 0
    empty: int = 0


@dataclass
class Counts:
    """The counts of a run.

    Attributes:
        faces: number of faces found.
        searched: all pictures, videos and cameras that were searched.
        unreadable: one message per picture that could not be read, and per video that could not be read to the end.
    """

    faces: int = 0
    searched: list[Searched] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    @property
    def pictures(self) -> int:
        """The number of pictures that were searched."""
        return sum(not one.source.is_video for one in self.searched)

    @property
    def frames(self) -> int:
        """The number of frames of videos and cameras that were searched."""
        return sum(one.frames for one in self.searched if one.source.is_video)

    def total(self) -> str:
        """Return the number of pictures and frames in words: "2 pictures and 48 frames"."""
        return in_words(self.pictures, self.frames)

    def misses(self) -> list[str]:
        """Return one message per picture without a face, and per video with such frames."""
        return [
            f"{one.source.name}: no face" + (f" in {one.empty} of {one.frames} frames" if one.source.is_video else "")
            for one in self.searched
            if one.empty
        ]


def in_words(pictures: int, frames: int) -> str:
    """Return numbers of pictures and frames in words: "2 pictures and 48 frames"."""
    counted = ((pictures, "picture"), (frames, "frame"))
    return " and ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counted if count)


def predict(
    inputs: Sequence[Source],
    predictor: Predictor,
    model: str,
    to: Destination,
    every: int,
    show_progress: bool,
    require_faces: bool = True,
) -> Counts:
    """Predict and write every face of ``inputs``.

    Memory does not grow with the number or length of the inputs. A camera is read until Ctrl-C.

    Args:
        inputs: pictures, videos and cameras.
        predictor: finds and classifies the faces.
        model: name of the model in the rows.
        to: where to write.
        every: use only every n-th frame of a video or camera.
        show_progress: show a progress bar.
        require_faces: raise an error, and write nothing, if there is no face.

    Raises:
        DatasetError: faces are required, and nothing could be read or no face was found.
        StorageError: an output cannot be written.
    """
    with open_outputs(to, model, predictor.drawn, every) as outputs:
        counts = predict_to(inputs, predictor, outputs, every, show_progress, require_faces)
        if require_faces:
            _require_faces(counts, predictor)
    for message in counts.misses():
        say(message)
    return counts


def predict_to(
    inputs: Sequence[Source],
    predictor: Predictor,
    outputs: Sequence[Output],
    every: int,
    show_progress: bool,
    require_pictures: bool = True,
) -> Counts:
    """Predict every face of ``inputs`` and pass it to the outputs.

    Args:
        inputs: pictures, videos and cameras.
        predictor: finds and classifies the faces.
        outputs: receive the faces.
        every: use only every n-th frame of a video or camera.
        show_progress: show a progress bar.
        require_pictures: raise an error if nothing could be read.

    Raises:
        DatasetError: pictures are required, and nothing could be read.
        StorageError: an output cannot be written.
    """
    counts = Counts()
    camera = any(source.camera is not None for source in inputs)
    total = None if camera else sum(_length(source, every) for source in inputs)
    unit = "frame" if any(source.is_video for source in inputs) else "picture"
    progress: tqdm[Any] = progress_bar(total=total, desc="predict", unit=unit, disable=not show_progress)
    with progress:
        stream = predict_frames(read_frames(inputs, every, counts.unreadable.append), predictor)
        with contextlib.closing(stream), _until_interrupted(camera):
            _write(stream, outputs, counts, progress)
        if total is not None:  # unreadable inputs do not count
            progress.total = progress.n
            progress.refresh()
    for message in counts.unreadable:
        say(message)
    if require_pictures and not counts.searched:
        raise DatasetError(f"nothing could be read: {'; '.join(counts.unreadable)}")
    return counts


def predict_frames(frames: Iterator[Frame], predictor: Predictor) -> Generator[tuple[Frame, list[Prediction]]]:
    """Yield frames with their faces. A thread reads and decodes frames while earlier ones are predicted."""
    for batch in prefetched(batches(frames, predictor.faces.batch_size)):
        yield from zip(batch, predictor.predict([frame.image for frame in batch]), strict=True)


def _write(
    stream: Iterator[tuple[Frame, list[Prediction]]], to: Sequence[Output], counts: Counts, progress: "tqdm[Any]"
) -> None:
    source, tracks = None, Tracks()
    for frame, faces in stream:
        if frame.source is not source:
            source, tracks = frame.source, Tracks()
            counts.searched.append(Searched(source))
        boxes = [found.face.box for found in faces]
        numbers = tracks.follow(boxes) if source.is_video else list(range(1, len(faces) + 1))
        for output in to:
            output.add(frame, faces, numbers)
        counts.searched[-1].frames += 1
        counts.searched[-1].empty += not faces
        counts.faces += len(faces)
        progress.update()


@contextlib.contextmanager
def _until_interrupted(camera: bool) -> Iterator[None]:
    """End the block silently on Ctrl-C if a camera is read; otherwise let the exception pass."""
    try:
        yield
    except KeyboardInterrupt:
        if not camera:
            raise


def _length(source: Source, every: int) -> int:
    return -(-source.video.frames // every) if source.video else 1


def _require_faces(counts: Counts, predictor: Predictor) -> None:
    if not counts.faces:
        raise DatasetError(
            f"no face found in {counts.total()}; faces smaller than {predictor.faces.min_face} pixels are not "
            "looked for: try -S min_face=20"
        )
