"""Walking folders, and the layout that several sets share: one sub-folder per class."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.pictures import is_picture
from pipeline.datasets.parts.spellings import class_of, part_of
from pipeline.errors import DatasetError


def pictures_in(folder: Path) -> list[Path]:
    """The picture files directly in a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if is_picture(path) and path.is_file())


def pictures_below(folder: Path) -> Iterator[Path]:
    """The picture files in a folder and its sub-folders; hidden folders and links to folders are not entered."""
    return files_below(folder, is_picture)


def files_below(folder: Path, wanted: Callable[[Path], bool]) -> Iterator[Path]:
    """The files whose names are ``wanted``, as ``pictures_below`` finds pictures."""
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        yield from (path for path in (Path(parent, name) for name in sorted(files)) if wanted(path))


def passed_over(folder: Path) -> dict[str, int]:
    """What ``pictures_below`` does not give of a folder, counted by ending; links to folders are not followed."""
    counts: Counter[str] = Counter()
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        hidden = [name for name in folders if _is_hidden(name)]
        counts["hidden folders"] += len(hidden)
        counts["links to folders"] += sum(Path(parent, name).is_symlink() for name in folders)
        folders[:] = sorted(set(folders) - set(hidden))
        for path in (Path(parent, name) for name in files):
            if path.name.startswith("."):
                counts["hidden files"] += 1
            elif not is_picture(path):
                counts[path.suffix.lower() or "without an ending"] += 1
    return {kind: count for kind, count in sorted(counts.items()) if count}


def _refuse(error: OSError) -> None:
    """A folder that cannot be read must not be passed over in silence."""
    raise DatasetError(f"{error.filename}: {error.strerror}; make the folder readable or remove it") from error


def subfolders(folder: Path) -> list[Path]:
    """The sub-folders, sorted by name, without hidden ones."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not _is_hidden(path.name))


def picture_folders(folder: Path) -> list[Path]:
    """The sub-folders in which, at any depth, there is a picture."""
    return [path for path in subfolders(folder) if next(pictures_below(path), None) is not None]


def holds_classes(folder: Path) -> bool:
    """Whether one of the sub-folders is named after a class and has pictures."""
    return any(class_of(inside.name) is not None for inside in picture_folders(folder))


def holds_parts(folder: Path) -> bool:
    """Whether one of the sub-folders is named after a part (train, val, test) and has class folders."""
    return any(part_of(inside.name) and holds_classes(inside) for inside in subfolders(folder))


def class_samples(
    dataset: Dataset, folder: Path, split: str | None, left_out: Collection[str] = ()
) -> Iterator[Sample]:
    """One labelled sample per picture of a folder that has one sub-folder per class.

    ``left_out``: names (lower case) of sub-folders that are known but not wanted.

    Raises:
        DatasetError: a sub-folder with pictures is no class, or a picture lies beside the class folders.
    """
    for path in pictures_in(folder):
        raise dataset.fault(f"{path}: a picture beside the class folders; move it into one of them or away")
    for class_folder in picture_folders(folder):
        if class_folder.name.casefold() in left_out:
            continue
        label = class_of(class_folder.name)
        if label is None:
            raise dataset.fault(f"{class_folder}: unknown class {class_folder.name!r}; rename or remove the folder")
        for path in pictures_below(class_folder):
            yield Sample(dataset.key(path), label, split=split)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
