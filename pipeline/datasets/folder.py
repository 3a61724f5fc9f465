"""A user's own pictures: any folder, labelled where its sub-folders are named after the classes."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.class_folders import (
    class_samples,
    passed_over,
    picture_folders,
    pictures_below,
    pictures_in,
)
from pipeline.datasets.parts.spellings import CLASSES, class_of, part_of


class FolderDataset(Dataset):
    """Pictures at any depth. One sub-folder per class makes them labelled; train/, val/ and test/ may stand above.

    Each part decides for itself, so train/ may be without labels and test/ with them. Folders without any picture are
    passed over.
    """

    layout = (
        f"pictures at any depth; or one sub-folder per class ({', '.join(words[0] for words in CLASSES.values())}); "
        f"or either of these below train/, val/ and test/"
    )

    def __init__(self, root: Path, name: str) -> None:
        """``name``: the set's name in params.yaml."""
        self.name = name
        self.title = name
        super().__init__(root)

    def passed_over(self) -> dict[str, int]:
        """What is no picture, by ending."""
        return passed_over(self.root)

    def scan(self) -> Iterator[Sample]:
        """One sample per picture.

        Raises:
            DatasetError: beside folders named after classes (or parts) there is one that is not, or a loose picture.
        """
        folders = picture_folders(self.root)
        if not any(part_of(folder.name) for folder in folders):
            yield from self._scan_part(self.root, None)
            return
        for path in pictures_in(self.root):
            raise self.fault(f"{path}: a picture beside the folders train, val and test; move it into one of them")
        for folder in folders:
            part = part_of(folder.name)
            if part is None:
                raise self.fault(f"{folder}: {folder.name!r} is none of train, val and test; rename or move the folder")
            yield from self._scan_part(folder, part)

    def _scan_part(self, folder: Path, part: str | None) -> Iterator[Sample]:
        if any(class_of(inside.name) is not None for inside in picture_folders(folder)):
            yield from class_samples(self, folder, part)
        else:
            for path in pictures_below(folder):
                yield Sample(self.key(path), None, split=part)


class AnyFolder(Dataset):
    """Pictures at any depth of a folder, whatever its sub-folders are called; there are no labels."""

    layout = "pictures at any depth"

    def __init__(self, root: Path) -> None:
        self.name = self.title = root.resolve().name
        super().__init__(root)

    def passed_over(self) -> dict[str, int]:
        """What is no picture, by ending."""
        return passed_over(self.root)

    def scan(self) -> Iterator[Sample]:
        """One sample per picture."""
        return (Sample(self.key(path), None) for path in pictures_below(self.root))
