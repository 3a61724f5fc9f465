"""Folders and picture files below a set's own folder, in an order that is the same on every machine."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from pipeline.datasets.parts.pictures import is_picture
from pipeline.errors import DatasetError

MAX_SUBFOLDERS = 40
"""Folders in a folder above which they are the set itself (subjects, sequences) and no wrapping."""

MAX_FOLDERS = 5000
"""Folders that are looked at in all, so that a root that is no set's folder ends soon."""


def is_hidden(name: str) -> bool:
    """Whether a folder is none of the user's: hidden, or what macOS adds to archives."""
    return name.startswith(".") or name == "__MACOSX"


def folders_below(root: Path, deepest: int | None = None) -> Iterator[Path]:
    """The root and the folders below it, the nearest first and by name; hidden ones and links are passed over.

    deepest: levels below the root, all where None.
    """
    level, depth, seen = [root], 0, 0
    while level and seen < MAX_FOLDERS:
        yield from level
        seen += len(level)
        if depth == deepest:
            return
        level = [inside for folder in level for inside in _inside(folder)]
        depth += 1


def nested_folders(root: Path) -> Iterator[Path]:
    """The root, and the folders below it as long as one stands alone: what archives put around a set.

    Beside a folder that stands alone there is no other folder and no picture; notes and tables may be.
    """
    folder = root
    while True:
        yield folder
        try:
            with os.scandir(folder) as entries:
                seen = [entry for entry in entries if not is_hidden(entry.name)]
        except OSError:
            return
        folders = [entry.name for entry in seen if entry.is_dir(follow_symlinks=False)]
        if len(folders) != 1 or any(Path(entry.path).is_file() and is_picture(Path(entry.path)) for entry in seen):
            return
        folder = folder / folders[0]


def _inside(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name for entry in entries if entry.is_dir(follow_symlinks=False) and not is_hidden(entry.name)
            )
    except PermissionError:
        return []  # a folder beside the set that is none of the reader's business; the set's own are read elsewhere
    return [folder / name for name in names] if len(names) <= MAX_SUBFOLDERS else []


def pictures_in(folder: Path) -> list[Path]:
    """The picture files directly in a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if is_picture(path) and path.is_file())


def pictures_below(folder: Path) -> Iterator[Path]:
    """The picture files in a folder and its sub-folders; hidden folders and links to folders are not entered."""
    return files_below(folder, is_picture)


def files_below(folder: Path, wanted: Callable[[Path], bool]) -> Iterator[Path]:
    """The files whose names are ``wanted``, as ``pictures_below`` finds pictures."""
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        yield from (path for path in (Path(parent, name) for name in sorted(files)) if wanted(path))


def skipped_files(folder: Path) -> dict[str, int]:
    """What ``pictures_below`` does not give of a folder, counted by ending; links to folders are not followed."""
    counts: Counter[str] = Counter()
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        hidden = [name for name in folders if is_hidden(name)]
        counts["hidden folders"] += len(hidden)
        counts["links to folders"] += sum(Path(parent, name).is_symlink() for name in folders)
        folders[:] = sorted(set(folders) - set(hidden))
        for path in (Path(parent, name) for name in files):
            if path.name.startswith("."):
                counts["hidden files"] += 1
            elif not is_picture(path):
                counts[path.suffix.lower() or "without an ending"] += 1
    return {kind: count for kind, count in sorted(counts.items()) if count}


def _refuse(error: OSError) -> NoReturn:
    """A folder that cannot be read must not be passed over in silence."""
    raise DatasetError(f"{error.filename}: {error.strerror}; make the folder readable or move it away") from error


def subfolders(folder: Path) -> list[Path]:
    """The sub-folders, sorted by name, without hidden ones."""
    try:
        with os.scandir(folder) as entries:
            paths = [folder / entry.name for entry in entries if not is_hidden(entry.name)]
        return sorted(path for path in paths if path.is_dir())  # which a link to itself is not
    except OSError as error:
        _refuse(error)


def picture_folders(folder: Path) -> list[Path]:
    """The sub-folders in which, at any depth, there is a picture."""
    return [path for path in subfolders(folder) if next(pictures_below(path), None) is not None]
