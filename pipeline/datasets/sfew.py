"""SFEW 2.0 (Dhall et al., ICMI 2015): film stills."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.class_folders import class_samples, holds_classes, picture_folders, subfolders
from pipeline.datasets.parts.finder import find, folders_below
from pipeline.datasets.parts.spellings import part_of


class Sfew(Dataset):
    """SFEW 2.0: 958 train and 436 val pictures. The 372 of its test part have no published labels and are not read."""

    name = "sfew"
    title = "SFEW 2.0"
    published: ClassVar = {"train": 958, "val": 436}
    layout = "Train/Angry/*.png and Val/Angry/*.png (or Train/Train/Angry, Val/Val/Angry), likewise the other classes"

    def scan(self) -> Iterator[Sample]:
        """One sample per picture of ``Train`` and ``Val``.

        Raises:
            DatasetError: one of the two is missing, or a folder in them is no class.
        """
        self.reading = ""
        home = find(self, _holds_parts, "a folder Train and a folder Val")
        for part in ("train", "val"):
            for folder in subfolders(home):
                if part_of(folder.name) == part:
                    yield from class_samples(self, self._classes(folder), part)

    def _classes(self, part: Path) -> Path:
        """Where the class folders of a part are; of aligned faces and whole pictures the aligned faces."""
        found = [folder for folder in folders_below(part, 2) if holds_classes(folder)]
        if not found:
            raise self.fault(f"{part}: no folder named after a class with pictures; unpack the part's archive there")
        chosen = next((folder for folder in found if "aligned" in folder.name.casefold()), found[0])
        if len(found) > 1:
            others = ", ".join(self.key(folder) for folder in found if folder != chosen)
            said = f"{self.key(chosen)}, not {others}"
            self.reading = f"{self.reading}; {said}" if self.reading else said
        return chosen


def _holds_parts(folder: Path) -> bool:
    return {"train", "val"} <= {part_of(inside.name) for inside in picture_folders(folder)}
