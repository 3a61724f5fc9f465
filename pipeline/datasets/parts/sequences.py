"""Selection of pictures from sequences that go from neutral to the peak of an expression (CK+, Oulu-CASIA)."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.folders import pictures_in
from pipeline.labels import NEUTRAL

PEAK_FRAMES = 3
"""Number of frames at the end of a sequence that have its label (paper, sec. 4.1)."""


def neutral_and_peak(dataset: Dataset, folder: Path, label: int, subject: str, sequence: str) -> Iterator[Sample]:
    """Yield the first frame of a sequence as neutral, and the last three with the sequence's label.

    Args:
        dataset: the set.
        folder: the folder of the sequence's frames.
        label: index into ``EXPRESSIONS``.
        subject: the person shown.
        sequence: the recording's name.

    Raises:
        DatasetError: a picture's name does not end in a frame number, two have the same number, or there are fewer than
            four pictures.
    """
    frames = sorted((_frame_number(dataset, path), path) for path in pictures_in(folder))
    for (number, path), (following, _) in pairwise(frames):
        if number == following:
            raise dataset.error(f"{path}: two files are frame {number}; remove one of them")
    if len(frames) < 1 + PEAK_FRAMES:
        raise dataset.error(
            f"{folder}: {len(frames)} pictures, but the first and the last {PEAK_FRAMES} are needed; unpack it again"
        )
    number, path = frames[0]
    yield Sample(dataset.key(path), NEUTRAL, subject, sequence, number)
    for number, path in frames[-PEAK_FRAMES:]:
        yield Sample(dataset.key(path), label, subject, sequence, number)


def _frame_number(dataset: Dataset, path: Path) -> int:
    match = re.search(r"[0-9]+$", path.stem)
    if match is None:
        raise dataset.error(f"{path}: the name does not end in a frame number; remove or rename the file")
    return int(match[0])
