"""Users' own pictures: any folder; labelled if its sub-folders are named after the classes."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.classes import (
    CLASS_WORDS,
    CLASSES_FILE,
    Codes,
    class_of,
    class_samples,
    has_class_folders,
    is_code,
    numbered_folders,
    part_of,
    read_codes,
    unknown_codes,
)
from pipeline.datasets.parts.folders import folders_below, picture_folders, pictures_below, pictures_in, skipped_files
from pipeline.errors import DatasetError
from pipeline.files.names import title_of

MAX_LISTED = 5
"""Maximum number of folders to name if none is a class."""


class FolderDataset(Dataset):
    """Pictures at any depth, labelled if there is one sub-folder per class. train/, val/ and test/ may stand above.

    Each part is examined separately, so train/ may have no labels while test/ has some. Folders without pictures are
    ignored. ``classes.json`` gives the meaning of numbers as class folders.
    """

    layout = (
        "pictures at any depth; or one sub-folder per class "
        f"({', '.join(words[0] for words in CLASS_WORDS.values())}); or either of these "
        f"below train/, val/ and test/; {CLASSES_FILE} says what other names of classes mean"
    )

    def __init__(self, root: Path, name: str) -> None:
        """Open the folder without listing it.

        Args:
            root: the folder.
            name: the set's name in params.yaml.

        Raises:
            DatasetError: the folder does not exist.
        """
        self.name = name
        self.title = name
        super().__init__(root)

    def skipped_files(self) -> dict[str, int]:
        """Return the number of files that are not pictures, by ending."""
        return skipped_files(self.root)

    def scan(self) -> Iterator[Sample]:
        """Yield one sample per picture.

        Raises:
            DatasetError: beside folders named after classes (or parts) there is another folder, or a picture.
        """
        codes = read_codes(self)
        home = self._home(codes)
        folders = picture_folders(home)
        if not any(part_of(folder.name) for folder in folders):
            yield from self._scan_part(home, None, codes)
            return
        for path in pictures_in(home):
            raise self.error(f"{path}: a picture beside the folders train, val and test; move it into one of them")
        for folder in folders:
            part = part_of(folder.name)
            if part is None:
                raise self.error(
                    f"{folder}: {folder.name!r} is not train, val or test; rename it or move it out of {self.root}"
                )
            yield from self._scan_part(folder, part, codes)

    def _home(self, codes: Codes) -> Path:
        """Return the folder of parts or classes: the root, or the single folder inside that an archive unpacked."""
        home = self.root
        while True:
            folders = picture_folders(home)
            if any(_has_meaning(inside.name, codes) for inside in folders):
                return home
            if pictures_in(home) or len(folders) != 1:
                return self.root
            home = folders[0]

    def _scan_part(self, folder: Path, part: str | None, codes: Codes) -> Iterator[Sample]:
        if has_class_folders(folder, codes):
            yield from class_samples(self, folder, part, codes=codes)
            return
        if numbers := numbered_folders(folder):
            raise self.error(f"{unknown_codes(folder, numbers)} (RAF-DB's have a reader: rafdb)")
        self._note_missing_labels(folder, codes)
        for path in pictures_below(folder):
            yield Sample(self.key(path), None, split=part)

    def _note_missing_labels(self, folder: Path, codes: Codes) -> None:
        """Note why there are no labels: class folders may be deeper, or have other names."""
        where = "" if folder == self.root else f"{self.key(folder)}: "
        deeper = [
            inside for inside in folders_below(folder) if has_class_folders(inside, codes) or numbered_folders(inside)
        ]
        if deeper:
            found = ", ".join(self.key(inside) for inside in deeper)
            self.add_note(
                f"{where}without labels, although there are class folders in {found}; to have them read, move them up"
            )
        elif others := [inside.name for inside in picture_folders(folder)]:
            more = ", ..." if len(others) > MAX_LISTED else ""
            self.add_note(
                f"{where}without labels, as none of its folders is a class ({', '.join(others[:MAX_LISTED])}{more})"
            )


def _has_meaning(name: str, codes: Codes) -> bool:
    """Return whether a folder's name is a part, a class or a number, not just a folder that an archive added."""
    return part_of(name) is not None or class_of(name) is not None or name in codes or is_code(name)


class UnlabelledFolder(Dataset):
    """Pictures at any depth of a folder, with any names of sub-folders, without labels."""

    layout = "pictures at any depth"

    def __init__(self, root: Path) -> None:
        self.name = self.title = title_of(root.resolve())
        super().__init__(root)

    @property
    def advice(self) -> str:
        return "name a folder of pictures"

    def error(self, what: str) -> DatasetError:
        """Return an error with the message alone: any layout is right."""
        return DatasetError(what)

    def skipped_files(self) -> dict[str, int]:
        """Return the number of files that are not pictures, by ending."""
        return skipped_files(self.root)

    def scan(self) -> Iterator[Sample]:
        """Return one sample per picture."""
        return (Sample(self.key(path), None) for path in pictures_below(self.root))
