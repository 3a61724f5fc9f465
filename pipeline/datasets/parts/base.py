"""What every data set is: a list of samples, and a picture for each of them."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.parts.pictures import decode
from pipeline.datasets.parts.walk import folders_below
from pipeline.errors import DatasetError
from pipeline.labels import STAND_IN_MARK, Provenance


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture of a set and what the set's layout says about it.

    key: path relative to the set's root, with ``/``; unique. Row 17 of a CSV file is ``fer2013.csv:17``.
    label: index into ``EXPRESSIONS``; None where the set gives none.
    subject, sequence, frame: who, in which recording, at which place of it; None where the layout does not say.
    split: ``train``, ``val`` or ``test`` as distributed; None where the set is not divided.
    """

    key: str
    label: int | None
    subject: str | None = None
    sequence: str | None = None
    frame: int | None = None
    split: str | None = None


class Dataset(ABC):
    """A data set in its own layout below ``root``.

    A new set is one new module: the three texts, ``scan``, and ``read`` where the pictures are no files of their own.
    """

    name: str
    """As in params.yaml."""
    title: str
    """As people write it."""
    layout: str
    """What is expected below the root; shown when something else is found."""
    note: str = ""
    """What a reader of a table of results must know of this set; mostly nothing."""
    published: ClassVar[Mapping[str, int | Sequence[int]]] = {}
    """Pictures that this reader finds in a whole copy, by part (train, val, test; "all" where it is not divided).

    Seven numbers in the order of ``EXPRESSIONS`` where the classes are known, else one; sources: docs/datasets.md.
    """

    def __init__(self, root: Path) -> None:
        """``root``: the set's own folder.

        Raises:
            DatasetError: there is no such folder.
        """
        self.root = root
        self._said: list[str] = []
        if not root.is_dir():
            raise self.fault(f"{root}: no such folder; unpack {self.title} there or set data.root in params.yaml")

    @property
    def provenance(self) -> Provenance:
        """``stand-in`` where a drawn set is in any folder that a set is looked for in, else ``real``."""
        return "stand-in" if any((folder / STAND_IN_MARK).exists() for folder in folders_below(self.root)) else "real"

    @property
    def reading(self) -> str:
        """Which of several readings of the folder was taken, where there was a choice; known once it is listed."""
        return "; ".join(self._said)

    def say(self, what: str) -> None:
        """Add to ``reading``."""
        if what not in self._said:
            self._said.append(what)

    @property
    def whole(self) -> Mapping[str, int | Sequence[int]]:
        """``published``, or the numbers of the copy that was found, where copies differ; empty where none are known."""
        return self.published

    @property
    def aligned(self) -> bool:
        """Whether the set's own authors have aligned its pictures to the face."""
        return False

    def samples(self) -> list[Sample]:
        """All samples, sorted by key; never empty.

        Raises:
            DatasetError: the folder is laid out differently than documented, or holds no picture.
        """
        self._said.clear()
        samples = sorted(self.scan(), key=lambda sample: sample.key)
        if not samples:
            raise self.fault(f"{self.root}: no pictures; unpack {self.title} there or set data.root in params.yaml")
        for sample, following in pairwise(samples):
            if sample.key == following.key:
                raise self.fault(f"{self.root}: {sample.key} is listed twice")
        for sample in samples:
            if not sample.key.isascii() and not _is_unicode(sample.key):
                raise self.fault(f"{self.root}: the file name {sample.key!r} is not UTF-8; rename the file")
        return samples

    def passed_over(self) -> dict[str, int]:
        """Files below the root that are no samples, counted by ending: of a folder whose files nobody else knows."""
        return {}

    @abstractmethod
    def scan(self) -> Iterable[Sample]:
        """The samples in any order; raises as ``samples`` does."""

    def read(self, sample: Sample) -> NDArray[np.uint8]:
        """The picture of a sample: uint8 H×W×3 RGB, grey repeated to three channels.

        Raises:
            UnreadableImageError: it cannot be decoded; the message is the key and the reason.
        """
        return decode(self.file(sample), sample.key)

    def file(self, sample: Sample) -> Path:
        """The file that a sample's picture is in."""
        return self.root / sample.key

    def key(self, path: Path) -> str:
        """The key of a file below the root; of the root ``.``.

        Raises:
            DatasetError: the file lies elsewhere.
        """
        if not path.is_relative_to(self.root):
            raise self.fault(f"{path}: named by the set's list, but not in {self.root}; correct the list")
        return path.relative_to(self.root).as_posix()

    def fault(self, what: str) -> DatasetError:
        """An error that also says which layout is expected."""
        return DatasetError(f"{what}\nExpected layout of {self.title}: {self.layout}")


def _is_unicode(text: str) -> bool:
    # Bytes of a file name that are not UTF-8 come as lone surrogates, which no manifest can store.
    return not any("\ud800" <= character <= "\udfff" for character in text)
