"""SFEW 2.0 (Dhall et al., ICMI 2015): film stills."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.class_folders import class_samples, picture_folders, subfolders
from pipeline.datasets.parts.spellings import part_of


class Sfew(Dataset):
    """SFEW 2.0: 958 train and 436 val pictures. The 372 of its test part have no published labels and are not read."""

    name = "sfew"
    title = "SFEW 2.0"
    layout = "Train/Angry/*.png and Val/Angry/*.png (or Train/Train/Angry, Val/Val/Angry), likewise the other classes"

    def scan(self) -> Iterator[Sample]:
        """One sample per picture of ``Train`` and ``Val``.

        Raises:
            DatasetError: one of the two is missing, or a folder in them is no class.
        """
        for part in ("train", "val"):
            folders = [folder for folder in subfolders(self.root) if part_of(folder.name) == part]
            if not folders:
                raise self.fault(f"{self.root / part.capitalize()}: no such folder; unpack SFEW's {part} archive there")
            for folder in folders:
                yield from class_samples(self, _unnested(folder, part), part)


def _unnested(folder: Path, part: str) -> Path:
    """``Train/Train`` where the archive was unpacked into a folder of its own name."""
    inside = picture_folders(folder)
    return inside[0] if len(inside) == 1 and part_of(inside[0].name) == part else folder
