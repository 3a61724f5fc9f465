"""AFE, also called AFED, Asian Facial Expression (Chen et al., TPAMI 2022): faces from films, with their boxes."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pipeline.datasets.parts.base import Sample
from pipeline.datasets.parts.boxed import Box, BoxedFaces, whole_pixels
from pipeline.datasets.parts.classes import plain_code
from pipeline.datasets.parts.finder import find
from pipeline.datasets.parts.folders import files_by_name
from pipeline.datasets.parts.lists import list_lines
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE

LISTS = "list"
PARTS = {"train_list.txt": "train", "val_list.txt": "val"}
PICTURES = "images"
VALUES = 5
"""Number of values after a picture's name (which may contain blanks): left, top, right, bottom, label."""
LABELS = {0: NEUTRAL, 1: HAPPINESS, 3: SURPRISE, 4: SADNESS, 5: DISGUST, 6: FEAR, 9: ANGER}
LEFT_OUT = (2, 7, 8, 10)
"""Excited, confused, tired, serious."""


class Afe(BoxedFaces):
    """AFE: faces of the seven expressions, each cut from its picture by its box.

    Layout and codes are those in the code of the public cross-domain benchmark.
    """

    name = "afe"
    title = "AFE"
    published: ClassVar = {}
    layout = "list/train_list.txt, list/val_list.txt (picture, left, top, right, bottom, label 0–10) and images/"

    def scan(self) -> Iterator[Sample]:
        """Yield one sample per line of both lists. Its key is the picture's key with the number of the face, from 0.

        Raises:
            DatasetError: the lists or the folder of pictures are missing; or a line is not UTF-8, is malformed or has a
                label outside 0–10.
        """
        home = find(self, _holds_lists, "list/train_list.txt beside a folder images")
        faces: Counter[str] = Counter()
        for path, split in _lists_in(home).items():
            for where, line in list_lines(self, path):
                yield from self._listed(home, where, line, split, faces)

    def _listed(self, home: Path, where: str, line: str, split: str, faces: Counter[str]) -> Iterator[Sample]:
        """Yield the sample of a line; nothing if its class is skipped.

        Args:
            home: the folder of lists and pictures.
            where: the line's position, for errors.
            line: the line's text.
            split: the list's part.
            faces: number of faces of each picture listed so far; updated.
        """
        name, *values = line.rsplit(maxsplit=VALUES)
        try:
            *box, label = values
            left, top, right, bottom = whole_pixels(box)
            code = int(plain_code(label))
        except ValueError:
            raise self.error(
                f"{where}: not a picture, four numbers and a whole number for the label; unpack the list again"
            ) from None
        if code not in LABELS and code not in LEFT_OUT:
            raise self.error(f"{where}: label {code} is not one of 0–10; correct the line")
        file = home / PICTURES / name
        key = f"{self.key(file)}:{faces[name]}"
        faces[name] += 1
        if code in LABELS:
            self.boxes[key] = Box(file, left, top, right, bottom)
            yield Sample(key, LABELS[code], split=split)


def _holds_lists(folder: Path) -> bool:
    return (folder / PICTURES).is_dir() and bool(_lists_in(folder))


def _lists_in(folder: Path) -> dict[Path, str]:
    """Return the lists in a folder, each with its part."""
    files = files_by_name(folder / LISTS)
    return {files[name]: part for name, part in PARTS.items() if name in files}
