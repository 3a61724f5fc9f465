"""Finding a set below its folder: archives unpack into folders of their own, and copies have others around them.

A reader says by a condition (a file's name, folders in a folder) which folder holds the set; the folders above it may
be called anything, at any depth. Where several folders meet the condition, ``Dataset.reading_notes`` says which of them
was taken.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from pipeline.datasets.parts.base import Dataset
from pipeline.datasets.parts.folders import file_named, files_by_name, folders_below, is_hidden, nested_folders
from pipeline.errors import DatasetError

ARCHIVES = (".7z", ".gz", ".rar", ".tar", ".tgz", ".zip")
"""Endings of files that may be the set, not unpacked yet."""

MAX_LISTED = 8
"""How many of the files and folders found instead an error lists."""

Condition = Callable[[Path], bool]
"""Whether a folder is one that is looked for."""


def find_all(dataset: Dataset, condition: Condition, what: str) -> list[Path]:
    """The folders that meet a condition, the nearest to the set's root first, then by name; never empty.

    Args:
        dataset: the set.
        condition: what holds for a folder that is looked for.
        what: the condition in words, for the error.

    Raises:
        DatasetError: there is none; says what was found instead and what to do.
    """
    found = matching_folders(dataset, condition)
    if not found:
        raise not_found(dataset, what)
    return found


def matching_folders(dataset: Dataset, condition: Condition) -> list[Path]:
    """As ``find_all``; empty where there is none."""
    return [folder for folder in folders_below(dataset.root) if condition(folder)]


def find(dataset: Dataset, condition: Condition, what: str, prefer: Condition | None = None) -> Path:
    """The folder nearest to the set's root that meets a condition.

    Args:
        dataset: the set.
        condition: what holds for a folder that is looked for.
        what: the condition in words, for the error.
        prefer: folders of which this is true are taken before all others, at any depth.

    Raises:
        DatasetError: there is none, or there are two equally near; says what was found and what to do.
    """
    return choose(dataset, find_all(dataset, condition, what), what, prefer)


def find_file(dataset: Dataset, name: str) -> Path:
    """The file of that name, in any case, that is nearest to the set's root.

    Raises:
        DatasetError: as ``find``.
    """
    home = find(dataset, lambda folder: file_named(folder, name) is not None, name)
    return files_by_name(home)[name.casefold()]


def choose(dataset: Dataset, found: list[Path], what: str, prefer: Condition | None = None) -> Path:
    """The folder that ``find`` takes among those found; ``reading_notes`` names the others.

    Args:
        dataset: the set.
        found: at least one folder.
        what: what they are in words, for the error.
        prefer: folders of which this is true are taken before all others, at any depth.

    Raises:
        DatasetError: two are equally near to the root.
    """
    best = [folder for folder in found if prefer is not None and prefer(folder)] or found
    least = min(len(folder.parts) for folder in best)
    nearest = [folder for folder in best if len(folder.parts) == least]
    if len(nearest) > 1:
        copies = ", ".join(str(folder) for folder in nearest)
        raise dataset.error(
            f"{dataset.root}: {what} is there {len(nearest)} times ({copies}); keep the one to be read there and move "
            f"the others out of {dataset.root}"
        )
    note_choice(dataset, nearest[0], [folder for folder in found if folder != nearest[0]])
    return nearest[0]


def note_choice(dataset: Dataset, taken: Path, others: list[Path]) -> None:
    """Note in ``reading_notes`` which folder or file is read instead of others, where there are others."""
    if others:
        dataset.add_note(f"{_name(dataset, taken)}, not {', '.join(_name(dataset, other) for other in others)}")


def require_no_copies(dataset: Dataset, pictures: Iterable[Path]) -> None:
    """Check that no picture's name is in two folders, for sets whose file names identify a picture.

    Raises:
        DatasetError: two folders have a picture of the same name.
    """
    first: dict[str, Path] = {}
    for path in pictures:
        other = first.setdefault(path.name, path)
        if other.parent != path.parent:
            raise dataset.error(
                f"{dataset.root}: {path.name} is in {other.parent} and in {path.parent}; keep the pictures to be read "
                f"there and move the others out of {dataset.root}"
            )


def not_found(dataset: Dataset, what: str) -> DatasetError:
    """The error to be raised where no folder holds the set: what is there instead, where, and what to do."""
    *_, folder = nested_folders(dataset.root)
    inside = sorted(path for path in folder.iterdir() if not is_hidden(path.name))
    names = [f"{path.name}/" if path.is_dir() else path.name for path in inside]
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    way = "" if folder == dataset.root else f"{dataset.key(folder)}/: "
    packed = [path.name for path in inside if path.suffix.lower() in ARCHIVES and path.is_file()]
    dead = [path for path in inside if path.is_symlink() and not path.exists()]
    if dead:  # as where DVC's cache, or the disk with the pictures, is gone
        todo = f"{dead[0].name} is a link to {dead[0].readlink()}, which is gone; bring it back (its disk, dvc pull)"
    elif packed:
        todo = f"{', '.join(packed)}: still packed; unpack it there"
    else:
        todo = f"unpack {dataset.title} there"
    listed = ", ".join(names[:MAX_LISTED]) or "nothing"
    return dataset.error(
        f"{dataset.root}: {what} is not there, nor in a folder below; {todo}. Found: {way}{listed}{more}"
    )


def _name(dataset: Dataset, path: Path) -> str:
    return "the folders at the top" if path == dataset.root else dataset.key(path)
