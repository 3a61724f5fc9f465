"""MMI (Pantic et al., ICME 2005; Valstar and Pantic, 2010): videos from neutral to a peak and back."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.parts import videos
from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.classes import plain_code
from pipeline.datasets.parts.finder import find
from pipeline.datasets.parts.folders import file_named, subfolders
from pipeline.errors import DatasetError, UnreadableImageError, short_repr
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE

LABELS = {"1": ANGER, "2": DISGUST, "3": FEAR, "4": HAPPINESS, "5": SADNESS, "6": SURPRISE}
"""Sessions with other codes, or without a code, do not show a basic expression."""
PROFILE = "1"
"""The view of a track that shows the face only from the side; 0 is frontal, 2 is both at once."""
SESSION = "session.xml"
FEWEST = 4


class Mmi(Dataset):
    """MMI: the first frame and the middle three of each labelled video that shows the face from the front.

    The first frame is neutral, those in the middle have the video's expression. Li and Deng's survey (TAC 2020) calls
    this selection the usual one. The four frames of a video stay in memory until another video is read.
    """

    name = "mmi"
    title = "MMI"
    published: ClassVar = {}
    layout = (
        "Sessions/1/S001-001.avi with session.xml (a track's view) and S001-001.xml (Metatag Emotion, 1–6: anger, "
        "disgust, fear, happiness, sadness, surprise)"
    )

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._clip: tuple[Path, dict[int, NDArray[np.uint8]]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for another process, without the frames in memory."""
        return {**self.__dict__, "_clip": None}

    def scan(self) -> Iterator[Sample]:
        """Yield four samples per labelled video. Their keys are the video's key with the number of the frame.

        Raises:
            DatasetError: there are no sessions, a description or a labelled video is damaged, or a labelled video is
                too short.
        """
        home = find(self, _holds_sessions, "a folder Sessions with session.xml in its folders")
        for session in subfolders(home):
            for video in sorted(path for path in session.iterdir() if videos.is_video(path)):
                label = self._label(file_named(session, f"{video.stem}.xml"))
                if label is not None and self._shows_the_front(session):
                    yield from self._four_frames(video, label)

    def read(self, sample: Sample) -> NDArray[np.uint8]:
        """Read the frame of a sample.

        Returns:
            uint8 H×W×3 RGB.

        Raises:
            UnreadableImageError: the video cannot be read, or ends before the frame.
        """
        video, number = self.file(sample), int(sample.key.rpartition(":")[2])
        if self._clip is None or self._clip[0] != video:
            try:
                self._clip = video, self._frames(video, {0, *_middle(self._length(video))})
            except DatasetError as error:
                raise UnreadableImageError(f"{sample.key}: {error}") from error
        if number not in self._clip[1]:
            raise UnreadableImageError(f"{sample.key}: the video has no such frame")
        return self._clip[1][number]

    def file(self, sample: Sample) -> Path:
        """Return the video of a frame."""
        return self.root / sample.key.rpartition(":")[0]

    def _four_frames(self, video: Path, label: int) -> Iterator[Sample]:
        try:
            count = self._length(video)
        except DatasetError as error:
            raise self.error(f"{error}; unpack the session again, or move it away") from None
        if count < FEWEST:
            raise self.error(f"{video}: {count} frames, but {FEWEST} are needed; unpack the session again")
        for number, shown in ((0, NEUTRAL), *((number, label) for number in _middle(count))):
            subject = video.stem.partition("-")[0]
            yield Sample(f"{self.key(video)}:{number:07d}", shown, subject, video.stem, number)

    def _length(self, video: Path) -> int:
        """Return the number of frames; they are counted if the file does not give it."""
        return videos.probe(video).frames or sum(1 for _ in videos.frame_numbers(video, 1, self.add_note))

    def _frames(self, video: Path, wanted: set[int]) -> dict[int, NDArray[np.uint8]]:
        """Return frames by number. Reading stops after the last of them."""
        last = max(wanted)
        read = itertools.takewhile(lambda frame: frame[0] <= last, videos.frames(video, 1, self.add_note))
        return {number: image for number, image in read if number in wanted}

    def _label(self, description: Path | None) -> int | None:
        """Return the label in a video's description; None if there is none, or it is not one of the six."""
        if description is None:
            return None
        tags = [tag for tag in self._xml(description).iter("Metatag") if tag.get("Name") == "Emotion"]
        if not tags:
            return None
        code = plain_code(tags[0].get("Value", ""))
        if not (code.isascii() and code.isdigit()):
            raise self.error(f"{description}: Emotion {short_repr(code)} is not a number; correct it")
        return LABELS.get(code)

    def _shows_the_front(self, session: Path) -> bool:
        path = file_named(session, SESSION)
        if path is None:
            raise self.error(
                f"{session / SESSION}: no such file; it says from which side the face is seen; unpack the session"
            )
        return PROFILE not in {track.get("view") for track in self._xml(path).iter("track")}

    def _xml(self, path: Path) -> ElementTree.Element:
        try:
            return ElementTree.parse(path).getroot()
        except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:  # LookupError: an unknown encoding
            raise self.error(f"{path}: cannot be read ({error}); unpack the session again") from None


def _middle(count: int) -> range:
    """Return the three frames in the middle, where the expression is at its peak."""
    return range(count // 2 - 1, count // 2 + 2)


def _holds_sessions(folder: Path) -> bool:
    named = folder.name.casefold() == "sessions"
    return named and any(file_named(inside, SESSION) is not None for inside in subfolders(folder))
