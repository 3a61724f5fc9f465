"""A user's own video: its frames are the pictures of a set without labels."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.parts import videos
from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.errors import UnreadableImageError
from pipeline.files.names import as_text, title_of


class VideoDataset(Dataset):
    """Every ``every``-th frame of one video. Reading samples in order is fastest, because frames are read forward.

    A sample's key is ``film.mp4:0000120``, with the number of the frame from 0. Samples have no sequence: all frames of
    a sequence are processed together, and a whole video is too long for that.
    """

    layout = "a video file"
    unit = "frame"

    def __init__(self, video: Path, every: int) -> None:
        """Open the video and read its first frame.

        Args:
            video: the file.
            every: 1: all frames.

        Raises:
            DatasetError: the video does not exist or cannot be read.
        """
        videos.probe(video)
        self.name = self.title = title_of(Path(video.resolve().stem))
        self._video, self._every = video, every
        self._frames: Iterator[tuple[int, NDArray[np.uint8]]] = iter(())
        self._next = 0
        super().__init__(video.parent)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for another process, without the open video."""
        return {**self.__dict__, "_frames": iter(()), "_next": 0}

    def scan(self) -> Iterator[Sample]:
        """Yield one sample per frame that can be decoded; reads the whole video."""
        for number in videos.frame_numbers(self._video, self._every, self._note_loss):
            yield Sample(f"{as_text(self._video.name)}:{number:07d}", None, frame=number)

    def read(self, sample: Sample) -> NDArray[np.uint8]:
        """Read the frame of a sample.

        Returns:
            uint8 H×W×3 RGB.

        Raises:
            UnreadableImageError: the video ends before this frame.
        """
        wanted = int(sample.key.rpartition(":")[2])
        if self._next == 0 or wanted < self._next:
            self._frames = videos.frames(self._video, self._every, self._note_loss)
        for number, image in self._frames:
            self._next = number + 1
            if number == wanted:
                return image
            if number > wanted:
                self._next = 0
                break
        raise UnreadableImageError(f"{sample.key}: the video has no such frame")

    def _note_loss(self, message: str) -> None:
        self.add_note(f"as far as it goes: {message}")

    def file(self, sample: Sample) -> Path:
        """Return the video."""
        return self._video
