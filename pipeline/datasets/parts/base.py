"""The interface of data sets: a list of samples, and a picture for each of them."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.parts.folders import folders_below
from pipeline.datasets.parts.pictures import decode
from pipeline.errors import DatasetError
from pipeline.files.names import as_text
from pipeline.labels import STAND_IN_MARK, Provenance


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture of a set and what the set's layout says about it.

    Attributes:
        key: path relative to the set's root, with ``/``; unique. Row 17 of a CSV file is ``fer2013.csv:17``.
        label: index into ``EXPRESSIONS``; None if the set gives none.
        subject: the person shown; None if the layout does not say.
        sequence: the recording; None if the layout does not say.
        frame: the picture's position in the recording; None if the layout does not say.
        split: ``train``, ``val`` or ``test`` as distributed; None if the set is not divided.
    """

    key: str
    label: int | None
    subject: str | None = None
    sequence: str | None = None
    frame: int | None = None
    split: str | None = None


class Dataset(ABC):
    """A data set in its own layout below ``root``.

    A new set is one new module. It defines the texts ``name``, ``title`` and ``layout`` and the method ``scan``, and
    also ``read`` if the pictures are not separate files.
    """

    name: str
    """The name in params.yaml."""
    title: str
    """The set's usual name."""
    layout: str
    """The expected content of the root; shown in errors."""
    unit: str = "picture"
    """What a sample is, in the singular."""
    caveat: str = ""
    """A warning to print below tables of results on this set; usually empty."""
    published: ClassVar[Mapping[str, int | Sequence[int]]] = {}
    """Number of pictures that this reader finds in a complete copy, by part (train, val, test; "all" if undivided).

    Seven numbers in the order of ``EXPRESSIONS`` if the numbers by class are known, else the total. Sources:
    docs/datasets.md.
    """

    def __init__(self, root: Path) -> None:
        """Open the set without listing it.

        Args:
            root: the set's own folder.

        Raises:
            DatasetError: the folder does not exist.
        """
        self.root = root
        self._reading_notes: list[str] = []
        if not root.is_dir():
            raise self.error(f"{root}: no such folder; {self.advice}")

    @property
    def advice(self) -> str:
        """What to do if the folder or its pictures are missing, as the end of a message."""
        return f"unpack {self.title} there or set data.root in params.yaml"

    @property
    def provenance(self) -> Provenance:
        """``stand-in`` if any folder that is searched for the set contains a drawn set, else ``real``."""
        return "stand-in" if any((folder / STAND_IN_MARK).exists() for folder in folders_below(self.root)) else "real"

    @property
    def reading_notes(self) -> str:
        """How the folder was read, if there were several ways to read it; known after ``samples``."""
        return "; ".join(self._reading_notes)

    def add_note(self, note: str) -> None:
        """Add a note to ``reading_notes`` unless it is there already."""
        if note not in self._reading_notes:
            self._reading_notes.append(note)

    @property
    def expected_counts(self) -> Mapping[str, int | Sequence[int]]:
        """The number of pictures in a complete copy: ``published``, or other numbers if copies differ.

        Returns:
            Numbers in the form of ``published``; empty if they are unknown.
        """
        return self.published

    @property
    def aligned(self) -> bool:
        """Whether the set's authors have aligned the faces of its pictures."""
        return False

    def samples(self) -> list[Sample]:
        """Return all samples, sorted by key; never empty.

        Raises:
            DatasetError: the folder has another layout than documented, or contains no picture.
        """
        self._reading_notes.clear()
        samples = sorted(self.scan(), key=lambda sample: sample.key)
        if not samples:
            raise self.error(f"{self.root}: no pictures; {self.advice}")
        for sample, following in pairwise(samples):
            if sample.key == following.key:
                raise self.error(f"{self.root}: {sample.key} is listed twice; keep one of the lines")
        for sample in samples:
            # Bytes of a file name that are not UTF-8 become lone surrogates, which a manifest cannot store.
            if not sample.key.isascii() and (shown := as_text(sample.key)) != sample.key:
                locale = sys.getfilesystemencoding()
                what = "is not UTF-8; rename the file"
                if locale != "utf-8":
                    what = f"cannot be read in a locale of {locale}; set LC_ALL=C.UTF-8"
                raise self.error(f"{self.root}: the file name {shown} {what}")
        return samples

    def skipped_files(self) -> dict[str, int]:
        """Return the number of files that are not samples, by ending; only for folders in which any file may lie."""
        return {}

    @abstractmethod
    def scan(self) -> Iterable[Sample]:
        """List the samples, in any order.

        Raises:
            DatasetError: as in ``samples``.
        """

    def read(self, sample: Sample) -> NDArray[np.uint8]:
        """Read the picture of a sample.

        Returns:
            uint8 H×W×3 RGB; grey pictures have three equal channels.

        Raises:
            UnreadableImageError: it cannot be decoded; the message is the key and the reason.
        """
        return decode(self.file(sample), sample.key)

    def file(self, sample: Sample) -> Path:
        """Return the file that contains a sample's picture."""
        return self.root / sample.key

    def key(self, path: Path) -> str:
        """Return the key of a file below the root; the root's own key is ``.``.

        Raises:
            DatasetError: the file is not below the root.
        """
        if not path.is_relative_to(self.root) or ".." in (below := path.relative_to(self.root)).parts:
            raise self.error(f"{path}: the set's list names it, but it is not in {self.root}; correct the list")
        return below.as_posix()

    def error(self, what: str) -> DatasetError:
        """Return an error that also says which layout is expected."""
        return DatasetError(f"{what}\nExpected layout of {self.title}: {self.layout}")


class AlignedOrWhole(Dataset):
    """A set that exists both with faces aligned by its authors and as whole pictures.

    Its ``scan`` sets ``_aligned`` to say which of the two it reads.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._aligned: bool | None = None

    @property
    def aligned(self) -> bool:
        """Whether the aligned pictures are read; lists the set if this is not known yet."""
        if self._aligned is None:
            self.samples()
        return bool(self._aligned)
