"""Picking single pictures from recordings that run from neutral to the peak of an expression (CK+, Oulu-CASIA)."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.folders import pictures_in
from pipeline.labels import NEUTRAL

PEAK_FRAMES = 3
"""Frames at the end of a sequence that carry its label (paper, sec. 4.1)."""


def neutral_and_peak(dataset: Dataset, folder: Path, label: int, subject: str, sequence: str) -> Iterator[Sample]:
    """The first frame of a sequence as neutral and its last three with the sequence's label.

    Args:
        dataset: the set.
        folder: that of the sequence's frames.
        label: index into ``EXPRESSIONS``.
        subject: who is shown.
        sequence: the recording's name.

    Raises:
        DatasetError: a picture's name ends in no frame number, two have the same, or there are fewer than four.
    """
    frames = sorted((_frame_number(dataset, path), path) for path in pictures_in(folder))
    for (number, path), (following, _) in pairwise(frames):
        if number == following:
            raise dataset.error(f"{path}: frame {number} is there twice; remove one of the files")
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
        raise dataset.error(f"{path}: the name ends in no frame number; remove or rename the file")
    return int(match[0])
