"""Walking folders, and the layout that several sets share: one sub-folder per class."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NoReturn

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.codes import Codes, how_to_say, is_number
from pipeline.datasets.parts.pictures import is_picture
from pipeline.datasets.parts.spellings import class_of, part_of
from pipeline.datasets.parts.walk import is_hidden
from pipeline.errors import DatasetError

NO_CODES: Codes = {}
"""Where folders are named by words alone."""


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


def passed_over(folder: Path) -> dict[str, int]:
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


def holds_classes(folder: Path, codes: Codes = NO_CODES) -> bool:
    """Whether one of the sub-folders is named after a class, or with one of ``codes``, and has pictures."""
    named = (inside for inside in subfolders(folder) if class_of(inside.name) is not None or inside.name in codes)
    return any(next(pictures_below(inside), None) is not None for inside in named)


def holds_parts(folder: Path, codes: Codes = NO_CODES) -> bool:
    """Whether one of the sub-folders is named after a part (train, val, test) and has class folders."""
    return any(part_of(inside.name) and holds_classes(inside, codes) for inside in subfolders(folder))


def numbered(folder: Path) -> list[str]:
    """The names of the sub-folders with pictures that may be numbers of classes, if there are at least two."""
    names = [inside.name for inside in subfolders(folder) if is_number(inside.name)]
    names = [name for name in names if next(pictures_below(folder / name), None) is not None]
    return sorted(names, key=int) if len(names) > 1 else []


def holds_numbered_parts(folder: Path) -> bool:
    """As ``holds_parts``, with numbers for the classes."""
    return any(part_of(inside.name) and numbered(inside) for inside in subfolders(folder))


def class_samples(
    dataset: Dataset, folder: Path, split: str | None, left_out: Collection[str] = (), codes: Codes = NO_CODES
) -> Iterator[Sample]:
    """One labelled sample per picture of a folder that has one sub-folder per class.

    left_out: names (lower case) of sub-folders that are known but not wanted. codes: further names of classes.

    Raises:
        DatasetError: sub-folders with pictures are no classes, or pictures lie beside the class folders; all are named.
    """
    labels = {
        inside: codes[inside.name] if inside.name in codes else class_of(inside.name)
        for inside in picture_folders(folder)
        if inside.name.casefold() not in left_out
    }
    unknown = [inside for inside, label in labels.items() if label is None and inside.name not in codes]
    faults = [
        f"{path}: a picture beside the class folders; move it into one of them or away" for path in pictures_in(folder)
    ]
    numbers = [inside for inside in unknown if is_number(inside.name)]
    if len(numbers) > 1 and not codes:
        faults.append(number_fault(folder, [inside.name for inside in numbers]))
        unknown = [inside for inside in unknown if inside not in numbers]
    known = f" (the codes are {', '.join(sorted(codes))})" if codes else ""
    faults += [
        f"{inside}: unknown class {inside.name!r}{known}; rename the folder or move it out of {dataset.root}"
        for inside in unknown
    ]
    if faults:
        raise dataset.fault("\n".join(faults))
    for inside, label in labels.items():
        if label is not None:
            for path in pictures_below(inside):
                yield Sample(dataset.key(path), label, split=split)


def number_fault(folder: Path, names: list[str]) -> str:
    """What is wrong with class folders that are numbers nobody has said the meaning of."""
    return f"{folder}: its folders are numbers ({', '.join(names)}), which mean other classes in every set; " + (
        how_to_say(names)
    )
