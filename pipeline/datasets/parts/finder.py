"""Finding a set below its folder: archives unpack into folders of their own, copies have others around them.

A set is known by marks of its own (a file's name, folders in a folder), which a reader names; the folders above them
may be called anything.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.datasets.parts.base import Dataset

DEEPEST = 4
"""Folders between the set's own folder and its marks, at most."""

MOST = 40
"""Folders in a folder above which it is no archive's wrapping."""

NAMED = 8
"""Things that an error lists of what was found instead."""


def folders_below(root: Path, deepest: int = DEEPEST) -> Iterator[Path]:
    """The root and the folders below it, the nearest first and by name; hidden ones and links are passed over."""
    level = [root]
    for _ in range(deepest + 1):
        yield from level
        level = [inside for folder in level for inside in _inside(folder)]


def find(dataset: Dataset, mark: Callable[[Path], bool], what: str) -> Path:
    """The nearest folder, from the set's root down, of which ``mark`` is true.

    what: what the mark is, for the error.

    Raises:
        DatasetError: there is none, or there are two as near as each other; with what was found and what to do.
    """
    found: list[Path] = []
    for folder in folders_below(dataset.root):
        if found and len(folder.parts) > len(found[0].parts):
            break
        if mark(folder):
            found.append(folder)
    if len(found) == 1:
        return found[0]
    if found:
        places = ", ".join(str(folder) for folder in found)
        raise dataset.fault(f"{dataset.root}: {what} is there {len(found)} times ({places}); move all but one away")
    raise dataset.fault(
        f"{dataset.root}: {what} is not there, nor in a folder below; unpack {dataset.title} there. "
        f"Found: {_listing(dataset.root)}"
    )


def _inside(folder: Path) -> list[Path]:
    """Sub-folders by name, unless there are so many (subjects, sequences) that they are the set itself."""
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".") and entry.name != "__MACOSX"
        )
    return [folder / name for name in names] if len(names) <= MOST else []


def _listing(root: Path) -> str:
    names = sorted(f"{path.name}/" if path.is_dir() else path.name for path in root.iterdir())
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return (", ".join(names[:NAMED]) + more) if names else "nothing"
