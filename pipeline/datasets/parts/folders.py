"""Folders and picture files in a set's own folder, in an order that is the same on every machine."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from pipeline.datasets.parts.pictures import is_picture
from pipeline.errors import DatasetError

MAX_SUBFOLDERS = 40
"""A folder with more sub-folders is part of the set (subjects, sequences); they are not searched for the set."""

MAX_FOLDERS = 5000
"""Maximum number of folders to search, so that a search in a wrong root ends soon."""


def is_hidden(name: str) -> bool:
    """Return whether a folder is hidden, or was added to an archive by macOS."""
    return name.startswith(".") or name == "__MACOSX"


def folders_below(root: Path, deepest: int | None = None) -> Iterator[Path]:
    """Yield the root and the folders below it by level, then by name; without hidden folders and links.

    Args:
        root: the folder to begin with.
        deepest: maximum number of levels below the root; None: all.
    """
    level, depth, count = [root], 0, 0
    while level and count < MAX_FOLDERS:
        yield from level
        count += len(level)
        if depth == deepest:
            return
        level = [inside for folder in level for inside in _inside(folder)]
        depth += 1


def nested_folders(root: Path) -> Iterator[Path]:
    """Yield the root, and the folder inside as long as it is the only folder and there is no picture beside it.

    Archives often add such folders around a set. Notes and tables may lie beside the single folder.
    """
    folder = root
    while True:
        yield folder
        try:
            with os.scandir(folder) as entries:
                inside = [entry for entry in entries if not is_hidden(entry.name)]
        except OSError:
            return
        folders = [entry.name for entry in inside if entry.is_dir(follow_symlinks=False)]
        if len(folders) != 1 or any(Path(entry.path).is_file() and is_picture(Path(entry.path)) for entry in inside):
            return
        folder = folder / folders[0]


def _inside(folder: Path) -> list[Path]:
    """Return the sub-folders to search for a set, sorted by name; empty if there are more than ``MAX_SUBFOLDERS``."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name for entry in entries if entry.is_dir(follow_symlinks=False) and not is_hidden(entry.name)
            )
    except PermissionError:
        return []  # it is not part of the set: the set's own folders are read by ``subfolders``, which raises
    return [folder / name for name in names] if len(names) <= MAX_SUBFOLDERS else []


def files_by_name(folder: Path) -> dict[str, Path]:
    """Return the files in a folder by name in lower case, without hidden files; empty if the folder does not exist.

    Raises:
        DatasetError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            files = (entry for entry in entries if entry.is_file(follow_symlinks=False) or Path(entry.path).is_file())
            names = sorted(entry.name for entry in files if not is_hidden(entry.name))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        _refuse(error)
    return {name.casefold(): folder / name for name in names}


def file_named(folder: Path, name: str) -> Path | None:
    """Return the file of that name, in any case, in a folder; None if there is none."""
    return files_by_name(folder).get(name.casefold())


def pictures_in(folder: Path) -> list[Path]:
    """Return the picture files directly in a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if is_picture(path) and path.is_file())


def pictures_below(folder: Path) -> Iterator[Path]:
    """Yield the picture files in a folder and its sub-folders (see ``files_below``).

    Raises:
        DatasetError: a folder cannot be read.
    """
    return files_below(folder, is_picture)


def files_below(folder: Path, wanted: Callable[[Path], bool]) -> Iterator[Path]:
    """Yield the wanted files in a folder and its sub-folders, sorted by name.

    Hidden folders and links to folders are ignored.

    Args:
        folder: the folder to begin with.
        wanted: returns whether a file is wanted.

    Raises:
        DatasetError: a folder cannot be read.
    """
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        yield from (path for path in (Path(parent, name) for name in sorted(files)) if wanted(path))


def skipped_files(folder: Path) -> dict[str, int]:
    """Count the files and folders that ``pictures_below`` ignores, by ending or kind.

    Raises:
        DatasetError: a folder cannot be read.
    """
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
    """Raise an error for a folder that cannot be read, so that its pictures are not omitted silently."""
    raise DatasetError(f"{error.filename}: {error.strerror}; make the folder readable or move it away") from error


def subfolders(folder: Path) -> list[Path]:
    """Return the sub-folders, sorted by name, without hidden ones.

    Raises:
        DatasetError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            paths = [folder / entry.name for entry in entries if not is_hidden(entry.name)]
        return sorted(path for path in paths if path.is_dir())  # a link to itself is not
    except OSError as error:
        _refuse(error)


def picture_folders(folder: Path) -> list[Path]:
    """Return the sub-folders that contain a picture at any depth."""
    return [path for path in subfolders(folder) if next(pictures_below(path), None) is not None]
