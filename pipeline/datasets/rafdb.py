"""RAF-DB, the basic expressions (Li, Deng and Du, CVPR 2017): portraits from the web, the source of the paper."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import ClassVar

from pipeline.datasets.parts.base import AlignedOrWhole, Sample
from pipeline.datasets.parts.classes import class_samples, has_part_folders, part_of, plain_code
from pipeline.datasets.parts.finder import choose, matching_folders, not_found, note_choice, require_no_copies
from pipeline.datasets.parts.folders import files_by_name, picture_folders, pictures_below
from pipeline.datasets.parts.lists import list_lines
from pipeline.datasets.parts.tables import label_rows, label_tables
from pipeline.errors import short_repr
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE

FOLDER = "EmoLabel"
LISTS = ("list_patition_label.txt", "list_partition_label.txt")  # the first spelling is that of the release
LABELS = {"1": SURPRISE, "2": FEAR, "3": DISGUST, "4": HAPPINESS, "5": SADNESS, "6": ANGER, "7": NEUTRAL}
VARIANTS = {"aligned": "_aligned", "original": ""}
"""The folders of ``Image``, the preferred one first, and what their files' names have before the suffix."""


class RafDb(AlignedOrWhole):
    """RAF-DB: 12,271 train and 3,068 test pictures. One list file gives each picture's part and label.

    Other copies have the pictures in class folders, or with tables of labels. All use RAF-DB's class codes.
    """

    name = "rafdb"
    title = "RAF-DB"
    layout = (
        f"{FOLDER}/{LISTS[0]} (lines such as 'train_00001.jpg 5') and Image/aligned/train_00001_aligned.jpg or "
        "Image/original/; or train/1/*.jpg … test/7/; "
        "or train_labels.csv and test_labels.csv (columns image, label) with the pictures"
    )
    published: ClassVar = {
        "train": (705, 717, 281, 4772, 1982, 1290, 2524),
        "test": (162, 160, 74, 1185, 478, 329, 680),
    }

    def scan(self) -> Iterator[Sample]:
        """Yield one sample per line of the list, with the 100×100 aligned pictures if available, else the originals.

        A listed picture that is missing is a sample too. Reading it fails, and it is counted as unreadable. Copies with
        class folders give one sample per picture, those with tables one per row.

        Raises:
            DatasetError: none of the three layouts is there; there is no picture; a line or folder is malformed or has
                a label outside 1–7; or, with tables, two pictures have the same name.
        """
        what = f"{FOLDER}/{LISTS[0]}, or train/1 … train/7, or a table of labels"
        kinds: tuple[tuple[Callable[[Path], bool], Callable[[Path], Iterator[Sample]]], ...] = (
            (lambda folder: bool(_lists_in(folder)), self._listed),
            (lambda folder: has_part_folders(folder, LABELS), self._by_class),
            (lambda folder: bool(label_tables(folder)), self._tabled),
        )
        found = [(matching_folders(self, condition), read) for condition, read in kinds]
        there = [(folders, read) for folders, read in found if folders]
        if not there:
            raise not_found(self, what)
        (folders, read), *others = there
        home = choose(self, folders, self.title)
        for unread, _ in others:
            note_choice(self, home, [folder for folder in unread if folder != home])
        return read(home)

    def _by_class(self, home: Path) -> Iterator[Sample]:
        """Return the samples of ``train/1`` to ``test/7``; the folders may have class names instead of codes."""
        samples: list[Sample] = []
        for folder in picture_folders(home):
            part = part_of(folder.name)
            if part is None:
                raise self.error(f"{folder}: {folder.name!r} is not train, valid or test; move it out of {self.root}")
            samples += class_samples(self, folder, part, codes=LABELS)
        self._aligned = any(PurePosixPath(sample.key).stem.endswith("_aligned") for sample in samples)
        return iter(samples)

    def _tabled(self, home: Path) -> Iterator[Sample]:
        """Yield one sample per row of the tables. The name of the table or of the picture gives the part."""
        found = list(pictures_below(home))
        require_no_copies(self, found)
        files = {path.name.casefold(): path for path in found}
        if not files:
            raise self.error(f"{home}: tables of labels, but no pictures; unpack the pictures there")
        self._aligned = any(path.stem.endswith("_aligned") for path in files.values())
        for table in label_tables(home):
            for where, name, code in label_rows(self, table):
                label, part = self._label(where, code), _part_in(table.stem) or _part_in(name)
                if part is None:
                    raise self.error(f"{where}: neither {table.name} nor {name} says train, valid or test; rename one")
                path = files.get(name.casefold(), table.parent / name)
                yield Sample(self.key(path), label, split=part)

    def _listed(self, home: Path) -> Iterator[Sample]:
        lines = list(self._lines(_lists_in(home)[0]))
        folder, files = self._pictures(home, [f"{stem}{suffix}" for stem, suffix, _ in lines])
        self._aligned = folder.name == "aligned"
        for stem, suffix, code in lines:
            name = f"{stem}{VARIANTS[folder.name]}{suffix}"
            path = files.get(name.casefold(), folder / name)
            yield Sample(self.key(path), LABELS[code], split=stem.partition("_")[0])

    def _lines(self, path: Path) -> Iterator[tuple[str, str, str]]:
        """Yield the picture's stem, its suffix and the class code of each line of the list."""
        for where, line in list_lines(self, path):
            match = re.fullmatch(r"((?:train|test)_[0-9]+)(\.(?i:jpg))\s+(\S+)", line)
            if match is None:
                raise self.error(f"{where}: {short_repr(line)} is not of the form 'train_00001.jpg 5'; unpack it again")
            code = plain_code(match[3])
            self._label(where, code)
            yield match[1], match[2], code

    def _label(self, where: str, code: str) -> int:
        if code not in LABELS:
            raise self.error(f"{where}: label {short_repr(code)} is not one of 1–7; correct the line")
        return LABELS[code]

    def _pictures(self, home: Path, listed: list[str]) -> tuple[Path, dict[str, Path]]:
        """Return the folder of pictures to read, and its files.

        It is the first of ``VARIANTS`` that has pictures of every part in the list. So the pictures of all parts are
        aligned, or those of none.

        Args:
            home: the folder that contains ``Image``.
            listed: names of pictures in the list.

        Returns:
            The folder, and its files by their names in lower case.
        """
        there = [home / "Image" / name for name in VARIANTS if (home / "Image" / name).is_dir()]
        if not there:
            raise self.error(f"{home / 'Image'}: neither aligned/ nor original/ is there; unpack one of them")
        files = {folder: {path.name.casefold(): path for path in pictures_below(folder)} for folder in there}
        lacking = {folder: _parts_lacking(files[folder], listed, VARIANTS[folder.name]) for folder in there}
        taken = min(there, key=lambda folder: len(lacking[folder]))
        if taken != there[0]:
            lacks = " and ".join(lacking[there[0]])
            self.add_note(f"{self.key(taken)}, not {self.key(there[0])}, as that has no pictures of {lacks}")
        else:
            note_choice(self, taken, [folder for folder in there if folder != taken and files[folder]])
        return taken, files[taken]


def _parts_lacking(files: dict[str, Path], listed: list[str], ending: str) -> list[str]:
    """Return the parts in the list of which the folder has no picture."""
    parts: dict[str, bool] = {}
    for name in listed:
        stem, _, suffix = name.rpartition(".")
        part = stem.partition("_")[0]
        parts[part] = parts.get(part, False) or f"{stem}{ending}.{suffix}".casefold() in files
    return [part for part, some in parts.items() if not some]


def _lists_in(folder: Path) -> list[Path]:
    files = files_by_name(folder / FOLDER)
    return [files[name] for name in LISTS if name in files]


def _part_in(name: str) -> str | None:
    """Return the part at the beginning of a file's name, such as ``train_labels.csv``."""
    return part_of(re.split(r"[^A-Za-z]", name)[0])
