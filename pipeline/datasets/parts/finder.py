"""Finding a set below its folder: archives unpack into folders of their own, copies have others around them.

A set is known by marks of its own (a file's name, folders in a folder), which a reader names; the folders above them
may be called anything, and be at any depth. Where more than one place has the marks, the reader says which one it took
(``Dataset.say``).
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from pipeline.datasets.parts.base import Dataset
from pipeline.datasets.parts.folders import folders_below, is_hidden, nested_folders
from pipeline.errors import DatasetError

ARCHIVES = (".7z", ".gz", ".rar", ".tar", ".tgz", ".zip")
"""Endings of files that may be the set, still packed."""

NAMED = 8
"""Things that an error lists of what was found instead."""

Condition = Callable[[Path], bool]
"""Whether a folder is what is looked for."""


def find_all(dataset: Dataset, condition: Condition, what: str) -> list[Path]:
    """The folders of which ``condition`` is true, nearest to the set's root first, then by name; never empty.

    what: what the condition is, for the error.

    Raises:
        DatasetError: there is none; with what was found and what to do.
    """
    found = matching_folders(dataset, condition)
    if not found:
        raise not_found(dataset, what)
    return found


def matching_folders(dataset: Dataset, condition: Condition) -> list[Path]:
    """As ``find_all``; empty where there is none."""
    return [folder for folder in folders_below(dataset.root) if condition(folder)]


def find(dataset: Dataset, condition: Condition, what: str, prefer: Condition | None = None) -> Path:
    """The nearest folder, from the set's root down, of which ``condition`` is true.

    what: what the condition is, for the error. prefer: what is taken, at any depth, before all others.

    Raises:
        DatasetError: there is none, or there are two between which nothing decides; with what was found and what to do.
    """
    return choose(dataset, find_all(dataset, condition, what), what, prefer)


def choose(dataset: Dataset, found: list[Path], what: str, prefer: Condition | None = None) -> Path:
    """The one that ``find`` takes of some folders; the others are named in the reading.

    Raises:
        DatasetError: nothing decides between two.
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
    """Say that one folder is read and which others are not, if there are others."""
    if others:
        dataset.add_note(f"{_shown(dataset, taken)}, not {', '.join(_shown(dataset, other) for other in others)}")


def require_no_copies(dataset: Dataset, pictures: Iterable[Path]) -> None:
    """Check that pictures of several folders are no copies: where the files' names say all, none is there twice.

    Raises:
        DatasetError: two folders have a picture of one name.
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
    """The error of a set whose marks are nowhere: what is there instead, where, and what to do."""
    *_, folder = nested_folders(dataset.root)
    inside = sorted(path for path in folder.iterdir() if not is_hidden(path.name))
    names = [f"{path.name}/" if path.is_dir() else path.name for path in inside]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    way = "" if folder == dataset.root else f"{dataset.key(folder)}/: "
    packed = [path.name for path in inside if path.suffix.lower() in ARCHIVES and path.is_file()]
    todo = f"{', '.join(packed)}: still packed; unpack it there" if packed else f"unpack {dataset.title} there"
    listed = ", ".join(names[:NAMED]) or "nothing"
    return dataset.error(
        f"{dataset.root}: {what} is not there, nor in a folder below; {todo}. Found: {way}{listed}{more}"
    )


def _shown(dataset: Dataset, path: Path) -> str:
    return "the folders at the top" if path == dataset.root else dataset.key(path)
