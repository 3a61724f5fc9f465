"""RAF-DB, the basic-expression part (Li, Deng and Du, CVPR 2017): portraits from the web, the source of the paper."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.class_folders import picture_folders, pictures_below, subfolders
from pipeline.datasets.parts.finder import find
from pipeline.datasets.parts.spellings import part_of
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE

LIST = "EmoLabel/list_patition_label.txt"  # misspelt so in the release
LABELS = {"1": SURPRISE, "2": FEAR, "3": DISGUST, "4": HAPPINESS, "5": SADNESS, "6": ANGER, "7": NEUTRAL}


class RafDb(Dataset):
    """RAF-DB: 12,271 train and 3,068 test pictures, named with part and label by one list file."""

    name = "rafdb"
    title = "RAF-DB"
    layout = (
        f"{LIST} (lines such as 'train_00001.jpg 5') and Image/aligned/train_00001_aligned.jpg or Image/original/; "
        "or train/1/*.jpg … test/7/"
    )
    published: ClassVar = {"train": 12_271, "test": 3_068}

    @property
    def aligned(self) -> bool:
        """Whether the pictures are the aligned ones: those below ``Image/aligned``, and the copies by class."""
        home = self._home()
        return not _is_release(home) or self._pictures(home)[1] != ""

    def scan(self) -> Iterator[Sample]:
        """One sample per line of the list; the 100×100 aligned pictures where they are there, else the originals.

        A listed picture that is missing is a sample too: reading it fails, and is counted with the unreadable ones.
        In copies sorted into folders by class, one per picture.

        Raises:
            DatasetError: no list, no picture folder, or a line that is malformed or has a label outside 1–7.
        """
        home = self._home()
        return self._listed(home) if _is_release(home) else self._by_class(home)

    def _home(self) -> Path:
        return find(self, lambda folder: _is_release(folder) or _is_by_class(folder), f"{LIST}, or train/1 … train/7")

    def _by_class(self, home: Path) -> Iterator[Sample]:
        """Pictures below ``train/1`` to ``test/7``: RAF-DB's own codes of the classes."""
        for folder in picture_folders(home):
            part = part_of(folder.name)
            if part is None:
                raise self.fault(f"{folder}: {folder.name!r} is none of train, valid and test; move the folder away")
            for pictures in picture_folders(folder):
                if pictures.name not in LABELS:
                    raise self.fault(f"{pictures}: {pictures.name!r} is not one of 1–7; move the folder away")
                for path in pictures_below(pictures):
                    yield Sample(self.key(path), LABELS[pictures.name], split=part)

    def _listed(self, home: Path) -> Iterator[Sample]:
        folder, ending = self._pictures(home)
        for number, line in enumerate(self._lines(home), start=1):
            if not line.strip():
                continue
            where = f"{home / LIST}, line {number}"
            match = re.fullmatch(r"((train|test)_[0-9]+)(\.jpg) +(\S+)", line.strip())
            if match is None:
                raise self.fault(f"{where}: {line.strip()!r} is not of the form 'train_00001.jpg 5'; unpack it again")
            stem, split, suffix, code = match.groups()
            if code not in LABELS:
                raise self.fault(f"{where}: label {code!r} is not one of 1–7; correct the line")
            yield Sample(f"{self.key(folder)}/{stem}{ending}{suffix}", LABELS[code], split=split)

    def _pictures(self, home: Path) -> tuple[Path, str]:
        variants = [(home / "Image/aligned", "_aligned"), (home / "Image/original", "")]
        there = [(folder, ending) for folder, ending in variants if folder.is_dir()]
        if not there:
            raise self.fault(f"{home / 'Image'}: neither aligned/ nor original/ is there; unpack one of them")
        # An empty folder beside a full one is one that was never unpacked.
        full = [(folder, ending) for folder, ending in there if next(pictures_below(folder), None)]
        if len(full) == 1 and len(there) == 2:
            self.reading = f"{full[0][0].name} pictures, as the other folder is empty"
        elif len(full) == 2:
            self.reading = "aligned pictures; original ones are there, too"
        return (full or there)[0]

    def _lines(self, home: Path) -> list[str]:
        path = home / LIST
        try:
            return path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise self.fault(f"{path}: not a text file ({error.reason}); unpack it again") from error


def _is_release(folder: Path) -> bool:
    return (folder / LIST).is_file()


def _is_by_class(folder: Path) -> bool:
    """Whether ``train`` or ``test`` is there with a folder for each of RAF-DB's seven codes."""
    parts = [inside for inside in subfolders(folder) if part_of(inside.name)]
    return any({path.name for path in subfolders(part)} >= LABELS.keys() for part in parts)
