"""Finding a set in its folder: archives unpack into folders of their own, and copies have others around them.

A reader recognises the set's folder by a condition, such as a file's name. The folders above it may have any name and
depth. If several folders meet the condition, ``Dataset.reading_notes`` says which one was read.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from pipeline.datasets.parts.base import Dataset
from pipeline.datasets.parts.folders import file_named, files_by_name, folders_below, is_hidden, nested_folders
from pipeline.errors import DatasetError

ARCHIVES = (".7z", ".gz", ".rar", ".tar", ".tgz", ".zip")
"""Suffixes of files that may be the set, not unpacked yet."""

MAX_LISTED = 8
"""Maximum number of files and folders that an error lists."""

Condition = Callable[[Path], bool]
"""Returns whether a folder is one to look for."""


def find_all(dataset: Dataset, condition: Condition, what: str) -> list[Path]:
    """Return the folders that meet a condition, by level below the set's root, then by name; never empty.

    Args:
        dataset: the set.
        condition: the condition.
        what: the condition in words, for the error.

    Raises:
        DatasetError: there is none; the message says what was found instead and what to do.
    """
    found = matching_folders(dataset, condition)
    if not found:
        raise not_found(dataset, what)
    return found


def matching_folders(dataset: Dataset, condition: Condition) -> list[Path]:
    """Return the folders that meet a condition, as ``find_all`` does; empty if there is none."""
    return [folder for folder in folders_below(dataset.root) if condition(folder)]


def find(dataset: Dataset, condition: Condition, what: str, prefer: Condition | None = None) -> Path:
    """Return the folder nearest to the set's root that meets a condition.

    Args:
        dataset: the set.
        condition: the condition.
        what: the condition in words, for the error.
        prefer: folders that also meet this condition are chosen first, at any depth.

    Raises:
        DatasetError: there is none, or there are two at the same level; the message says what was found and what to do.
    """
    return choose(dataset, find_all(dataset, condition, what), what, prefer)


def find_file(dataset: Dataset, name: str) -> Path:
    """Return the file of that name, in any case, that is nearest to the set's root.

    Raises:
        DatasetError: as in ``find``.
    """
    home = find(dataset, lambda folder: file_named(folder, name) is not None, name)
    return files_by_name(home)[name.casefold()]


def choose(dataset: Dataset, found: list[Path], what: str, prefer: Condition | None = None) -> Path:
    """Choose among found folders as ``find`` does, and name the others in ``reading_notes``.

    Args:
        dataset: the set.
        found: at least one folder.
        what: what they are, in words, for the error.
        prefer: folders that meet this condition are chosen first, at any depth.

    Raises:
        DatasetError: two of the nearest folders are at the same level.
    """
    best = [folder for folder in found if prefer is not None and prefer(folder)] or found
    least = min(len(folder.parts) for folder in best)
    nearest = [folder for folder in best if len(folder.parts) == least]
    if len(nearest) > 1:
        copies = ", ".join(str(folder) for folder in nearest)
        raise dataset.error(
            f"{dataset.root}: {what}: found {len(nearest)} times ({copies}); keep the one to read and move "
            f"the others out of {dataset.root}"
        )
    note_choice(dataset, nearest[0], [folder for folder in found if folder != nearest[0]])
    return nearest[0]


def note_choice(dataset: Dataset, taken: Path, others: list[Path]) -> None:
    """Note in ``reading_notes`` which folder or file is read instead of others, if there are others."""
    if others:
        dataset.add_note(f"{_name(dataset, taken)}, not {', '.join(_name(dataset, other) for other in others)}")


def require_no_copies(dataset: Dataset, pictures: Iterable[Path]) -> None:
    """Check that no name of a picture occurs in two folders, for sets whose file names identify a picture.

    Raises:
        DatasetError: two folders contain a picture of the same name.
    """
    first: dict[str, Path] = {}
    for path in pictures:
        other = first.setdefault(path.name, path)
        if other.parent != path.parent:
            raise dataset.error(
                f"{dataset.root}: {path.name} is in {other.parent} and in {path.parent}; keep the pictures to read "
                f"and move the others out of {dataset.root}"
            )


def not_found(dataset: Dataset, what: str) -> DatasetError:
    """Return the error for a folder without the set. It says what is there instead, where, and what to do."""
    *_, folder = nested_folders(dataset.root)
    inside = sorted(path for path in folder.iterdir() if not is_hidden(path.name))
    names = [f"{path.name}/" if path.is_dir() else path.name for path in inside]
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    way = "" if folder == dataset.root else f"{dataset.key(folder)}/: "
    packed = [path.name for path in inside if path.suffix.lower() in ARCHIVES and path.is_file()]
    dead = [path for path in inside if path.is_symlink() and not path.exists()]
    if dead:  # for example because DVC's cache, or the disk with the pictures, is missing
        todo = f"{dead[0].name} is a link to {dead[0].readlink()}, which is missing; restore it (its disk, dvc pull)"
    elif packed:
        todo = f"{', '.join(packed)}: still packed; unpack it there"
    else:
        todo = f"unpack {dataset.title} there"
    listed = ", ".join(names[:MAX_LISTED]) or "nothing"
    return dataset.error(f"{dataset.root}: {what} not found, nor in a folder below; {todo}. Found: {way}{listed}{more}")


def _name(dataset: Dataset, path: Path) -> str:
    return "the folders at the top" if path == dataset.root else dataset.key(path)
