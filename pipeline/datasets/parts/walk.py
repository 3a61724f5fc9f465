"""Walking the folders below a set's own folder, in an order that every machine has alike."""

import os
from collections.abc import Iterator
from pathlib import Path

from pipeline.datasets.parts.pictures import is_picture

MOST_INSIDE = 40
"""Folders in a folder above which they are the set itself (subjects, sequences) and no wrapping."""

MOST = 5000
"""Folders that are looked at in all, so that a root that is no set's folder ends soon."""


def is_hidden(name: str) -> bool:
    """Whether a folder is none of the user's: hidden, or what macOS adds to archives."""
    return name.startswith(".") or name == "__MACOSX"


def folders_below(root: Path, deepest: int | None = None) -> Iterator[Path]:
    """The root and the folders below it, the nearest first and by name; hidden ones and links are passed over.

    deepest: levels below the root, all where None.
    """
    level, depth, seen = [root], 0, 0
    while level and seen < MOST:
        yield from level
        seen += len(level)
        if depth == deepest:
            return
        level = [inside for folder in level for inside in _inside(folder)]
        depth += 1


def unwrapped(root: Path) -> Iterator[Path]:
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
    return [folder / name for name in names] if len(names) <= MOST_INSIDE else []
