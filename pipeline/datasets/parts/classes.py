"""Names of classes and parts in folders, files and tables: words or numbers, and one folder per class."""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.datasets.parts.folders import picture_folders, pictures_below, pictures_in, subfolders
from pipeline.datasets.parts.lists import number_of, read_text
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE

CLASS_WORDS = {
    ANGER: ("anger", "angry", "an"),
    DISGUST: ("disgust", "disgusted", "di"),
    FEAR: ("fear", "fearful", "afraid", "fe"),
    HAPPINESS: ("happiness", "happy", "ha"),
    SADNESS: ("sadness", "sad", "sa"),
    SURPRISE: ("surprise", "surprised", "su"),
    NEUTRAL: ("neutral", "ne"),
}
PART_WORDS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}

CLASSES_FILE = "classes.json"
"""A file in the set's own folder that gives the meaning of codes: {"1": "surprise", "8": null}; null omits a class."""

HIGHEST_CODE = 10
"""The highest class number of any set (AffectNet). Folders with higher numbers, such as years, are not classes."""

Codes = Mapping[str, int | None]
"""The meaning of codes: an index into ``EXPRESSIONS``, or None if the class is omitted."""

NO_CODES: Codes = {}
"""For folders that are named only by words."""


def class_of(word: str) -> int | None:
    """Return the index into ``EXPRESSIONS`` of a class name in any case; None if it is not a class name."""
    return next((label for label, words in CLASS_WORDS.items() if word.casefold() in words), None)


def part_of(word: str) -> str | None:
    """Return ``train``, ``val`` or ``test`` for the name of a part in any case; None if it is not such a name."""
    return next((part for part, words in PART_WORDS.items() if word.casefold() in words), None)


def is_code(name: str) -> bool:
    """Return whether a folder's name can be the number of a class."""
    return name.isascii() and name.isdigit() and int(name) <= HIGHEST_CODE


def plain_code(text: str) -> str:
    """Return a whole number in its plain form, such as "3" for 3.0, 3.000e+00 and +3; other texts unchanged."""
    try:
        value = number_of(text)
    except ValueError:
        return text
    return str(int(value)) if value.is_integer() else text


def read_codes(dataset: Dataset) -> dict[str, int | None]:
    """Read the user's ``classes.json``.

    Returns:
        Labels by code; empty if the file does not exist.

    Raises:
        DatasetError: the file is damaged, or names an unknown class.
    """
    path = dataset.root / CLASSES_FILE
    if not path.is_file():
        return {}
    try:
        given = json.loads(read_text(path, dataset.error))
    except (ValueError, RecursionError) as error:
        raise dataset.error(f"{path}: cannot be read ({error}); correct the file") from error
    words = ", ".join(spellings[0] for spellings in CLASS_WORDS.values())
    if not isinstance(given, dict) or not given:
        raise dataset.error(f'{path}: expected {{"1": "surprise", ...}} with classes of {words}, or null')
    for name, word in given.items():
        if word is not None and (not isinstance(word, str) or class_of(word) is None):
            raise dataset.error(f"{path}: {name!r}: {word!r} is not one of {words}, or null; correct the file")
    dataset.add_note(f"classes as in {CLASSES_FILE}")
    return {name: None if word is None else class_of(word) for name, word in given.items()}


def has_class_folders(folder: Path, codes: Codes = NO_CODES) -> bool:
    """Return whether a sub-folder with pictures is named after a class or is one of ``codes``."""
    named = (inside for inside in subfolders(folder) if class_of(inside.name) is not None or inside.name in codes)
    return any(next(pictures_below(inside), None) is not None for inside in named)


def has_part_folders(folder: Path, codes: Codes = NO_CODES) -> bool:
    """Return whether a sub-folder named after a part (train, val, test) contains class folders."""
    return any(part_of(inside.name) and has_class_folders(inside, codes) for inside in subfolders(folder))


def numbered_folders(folder: Path) -> list[str]:
    """Return the names of sub-folders with pictures that can be class numbers; empty if there is only one."""
    names = [inside.name for inside in subfolders(folder) if is_code(inside.name)]
    names = [name for name in names if next(pictures_below(folder / name), None) is not None]
    return sorted(names, key=int) if len(names) > 1 else []


def has_numbered_parts(folder: Path) -> bool:
    """Return whether a sub-folder named after a part contains folders that can be class numbers."""
    return any(part_of(inside.name) and numbered_folders(inside) for inside in subfolders(folder))


def class_samples(
    dataset: Dataset, folder: Path, split: str | None, left_out: Collection[str] = (), codes: Codes = NO_CODES
) -> Iterator[Sample]:
    """Yield one labelled sample per picture of a folder that has one sub-folder per class.

    Args:
        dataset: the set that the folder belongs to.
        folder: the folder that contains the class folders.
        split: the part of the samples; None if the set is not divided.
        left_out: names (in lower case) of sub-folders that are known but not read.
        codes: further names of classes.

    Raises:
        DatasetError: sub-folders with pictures are not classes, or pictures lie beside the class folders. All are
            named.
    """
    labels = {
        inside: codes[inside.name] if inside.name in codes else class_of(inside.name)
        for inside in picture_folders(folder)
        if inside.name.casefold() not in left_out
    }
    unknown = [inside for inside, label in labels.items() if label is None and inside.name not in codes]
    problems = [
        f"{path}: a picture beside the class folders; move it into one of them or away" for path in pictures_in(folder)
    ]
    numbers = [inside for inside in unknown if is_code(inside.name)]
    if len(numbers) > 1 and not codes:
        problems.append(unknown_codes(folder, [inside.name for inside in numbers]))
        unknown = [inside for inside in unknown if inside not in numbers]
    known = f" (the codes are {', '.join(sorted(codes))})" if codes else ""
    problems += [
        f"{inside}: unknown class {inside.name!r}{known}; rename the folder or move it out of {dataset.root}"
        for inside in unknown
    ]
    if problems:
        raise dataset.error("\n".join(problems))
    for inside, label in labels.items():
        if label is not None:
            for path in pictures_below(inside):
                yield Sample(dataset.key(path), label, split=split)


def unknown_codes(folder: Path, names: list[str]) -> str:
    """Return a message about class folders that are numbers of unknown meaning, and what to do.

    Args:
        folder: the folder that contains the class folders.
        names: their names, at least one.
    """
    return (
        f"{folder}: its folders are numbers ({', '.join(names)}), whose meaning differs between sets; write what they "
        f'mean into a file {CLASSES_FILE} in the set\'s own folder, as {{"{names[0]}": "...", ...}} with angry, '
        "disgust, fear, happy, sad, surprise, neutral or null, or rename them so; if they are not classes, rename them "
        f"as person-{names[0]}"
    )
