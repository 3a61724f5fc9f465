"""What every data set is: a list of samples, and a picture for each of them."""

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
        label: index into ``EXPRESSIONS``; None where the set gives none.
        subject: who is shown; None where the layout does not say.
        sequence: in which recording; None where the layout does not say.
        frame: the picture's place in the recording; None where the layout does not say.
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

    A new set is one new module: the three texts ``name``, ``title`` and ``layout``, ``scan``, and ``read`` where the
    pictures are not files of their own.
    """

    name: str
    """The name in params.yaml."""
    title: str
    """The name as people write it."""
    layout: str
    """What is expected below the root; shown when something else is found."""
    unit: str = "picture"
    """What its samples are."""
    caveat: str = ""
    """What must be said below tables of results on this set; mostly nothing."""
    published: ClassVar[Mapping[str, int | Sequence[int]]] = {}
    """How many pictures this reader finds in a whole copy, by part (train, val, test; "all" where it is not divided).

    Seven numbers in the order of ``EXPRESSIONS`` where those of the classes are known, else one number in all. Sources:
    docs/datasets.md.
    """

    def __init__(self, root: Path) -> None:
        """Open the set without listing it.

        Args:
            root: the set's own folder.

        Raises:
            DatasetError: there is no such folder.
        """
        self.root = root
        self._reading_notes: list[str] = []
        if not root.is_dir():
            raise self.error(f"{root}: no such folder; {self.advice}")

    @property
    def advice(self) -> str:
        """What to do where there is no folder or no picture, as the end of a message."""
        return f"unpack {self.title} there or set data.root in params.yaml"

    @property
    def provenance(self) -> Provenance:
        """``stand-in`` where any folder that is searched for the set holds a drawn one, else ``real``."""
        return "stand-in" if any((folder / STAND_IN_MARK).exists() for folder in folders_below(self.root)) else "real"

    @property
    def reading_notes(self) -> str:
        """How the folder was read where it could be read in several ways; known after ``samples``."""
        return "; ".join(self._reading_notes)

    def add_note(self, note: str) -> None:
        """Add to ``reading_notes`` what is not in it yet."""
        if note not in self._reading_notes:
            self._reading_notes.append(note)

    @property
    def expected_counts(self) -> Mapping[str, int | Sequence[int]]:
        """How many pictures a whole copy has: ``published``, or other numbers where copies differ.

        Returns:
            In the form of ``published``; empty where no numbers are known.
        """
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
        self._reading_notes.clear()
        samples = sorted(self.scan(), key=lambda sample: sample.key)
        if not samples:
            raise self.error(f"{self.root}: no pictures; {self.advice}")
        for sample, following in pairwise(samples):
            if sample.key == following.key:
                raise self.error(f"{self.root}: {sample.key} is listed twice; keep one of the lines")
        for sample in samples:
            # Bytes of a file name that are not UTF-8 come as lone surrogates, which no manifest can store.
            if not sample.key.isascii() and (shown := as_text(sample.key)) != sample.key:
                locale = sys.getfilesystemencoding()
                what = "is not UTF-8; rename the file"
                if locale != "utf-8":
                    what = f"cannot be read in a locale of {locale}; set LC_ALL=C.UTF-8"
                raise self.error(f"{self.root}: the file name {shown} {what}")
        return samples

    def skipped_files(self) -> dict[str, int]:
        """Numbers of files that are no samples, by ending; counted only where any file may lie in the folder."""
        return {}

    @abstractmethod
    def scan(self) -> Iterable[Sample]:
        """List the samples, in any order.

        Raises:
            DatasetError: as ``samples``.
        """

    def read(self, sample: Sample) -> NDArray[np.uint8]:
        """The picture of a sample.

        Returns:
            uint8 H×W×3 RGB; grey is repeated to three channels.

        Raises:
            UnreadableImageError: it cannot be decoded; the message is the key and the reason.
        """
        return decode(self.file(sample), sample.key)

    def file(self, sample: Sample) -> Path:
        """The file that a sample's picture is in."""
        return self.root / sample.key

    def key(self, path: Path) -> str:
        """The key of a file below the root; that of the root is ``.``.

        Raises:
            DatasetError: the file lies elsewhere.
        """
        if not path.is_relative_to(self.root) or ".." in (below := path.relative_to(self.root)).parts:
            raise self.error(f"{path}: named by the set's list, but not in {self.root}; correct the list")
        return below.as_posix()

    def error(self, what: str) -> DatasetError:
        """An error to be raised that also says which layout is expected."""
        return DatasetError(f"{what}\nExpected layout of {self.title}: {self.layout}")


class AlignedOrWhole(Dataset):
    """A set that circulates both with faces aligned by its authors and as whole pictures.

    Its ``scan`` writes into ``_aligned`` which of the two it reads.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._aligned: bool | None = None

    @property
    def aligned(self) -> bool:
        """Whether the aligned pictures are read; lists the set where that is not known yet."""
        if self._aligned is None:
            self.samples()
        return bool(self._aligned)
