"""SFEW 2.0 (Dhall et al., ICMI 2015): film stills."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pipeline.datasets.parts.base import AlignedOrWhole, Sample
from pipeline.datasets.parts.classes import class_samples, has_class_folders, part_of
from pipeline.datasets.parts.finder import choose, find, note_choice
from pipeline.datasets.parts.folders import folders_below, picture_folders, subfolders

PARTS = ("train", "val")
ALIGNED = re.compile(r"[ _-]*aligned.*", re.IGNORECASE)
"""The ending, after the part, of names of archives of aligned faces, such as Val_Aligned_Faces_new."""


class Sfew(AlignedOrWhole):
    """SFEW 2.0: 958 train and 436 val pictures. Its 372 test pictures have no published labels and are not read.

    The authors' aligned faces are preferred to the stills if both parts have them. There are fewer of them, because no
    face was found in some stills.
    """

    name = "sfew"
    title = "SFEW 2.0"
    published: ClassVar = {"train": 958, "val": 436}
    layout = (
        "Train/Angry/*.png and Val/Angry/*.png (or Train/Train/Angry, Val/Val/Angry, or Train_Aligned_Faces/Angry, "
        "Val_Aligned_Faces/Angry), likewise the other classes"
    )

    @property
    def expected_counts(self) -> Mapping[str, int | Sequence[int]]:
        """The numbers of stills; for the aligned faces no numbers are published."""
        return {} if self.aligned else self.published

    def scan(self) -> Iterator[Sample]:
        """Yield one sample per picture of ``Train`` and ``Val``.

        Raises:
            DatasetError: one of the two is missing, or a folder in them is not a class.
        """
        home = find(self, _holds_parts, "a folder Train and a folder Val")
        found = {part: self._classes(home, part) for part in PARTS}
        self._aligned = all(any(map(self._is_aligned, folders)) for folders in found.values())
        stills = all(any(not self._is_aligned(folder) for folder in folders) for folders in found.values())
        for part, folders in found.items():
            wanted = [folder for folder in folders if self._is_aligned(folder) == self._aligned]
            taken = choose(self, wanted or folders, f"a folder with the classes of {part}")
            others = [folder for folder in folders if folder != taken and folder not in wanted]
            note_choice(self, taken, others)
            if not self._aligned and not stills:
                self.add_note(
                    f"{part} has {'aligned faces' if self._is_aligned(taken) else 'stills'}, the other part has not"
                )
            yield from class_samples(self, taken, part)

    def _is_aligned(self, folder: Path) -> bool:
        """Return whether a folder of classes contains aligned faces, by its own name or its parent's."""
        return any(ALIGNED.search(name) for name in self.key(folder).split("/")[-2:])

    def _classes(self, home: Path, part: str) -> list[Path]:
        """Return the folders of a part that contain class folders. Aligned faces and stills may lie side by side."""
        tops = [folder for folder in subfolders(home) if _part(folder.name) == part]
        found = [folder for top in tops for folder in folders_below(top) if has_class_folders(folder)]
        for folder in (folder for top in tops for folder in folders_below(top, 1)):
            if ALIGNED.search(folder.name) and not any(folder in (inside, *inside.parents) for inside in found):
                self.add_note(f"stills, as {self.key(folder)} holds no pictures in class folders")
        if not found:
            raise self.error(
                f"{', '.join(map(str, tops))}: no folder named after a class with pictures; unpack the part's archive "
                "there"
            )
        return found


def _part(name: str) -> str | None:
    return part_of(ALIGNED.sub("", name))


def _holds_parts(folder: Path) -> bool:
    return set(PARTS) <= {_part(inside.name) for inside in picture_folders(folder)}
