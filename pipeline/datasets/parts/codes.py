"""What numbers mean as classes: every set counts otherwise, so a set's reader knows, or the user says it in a file."""

import json
from collections.abc import Iterable, Mapping

from pipeline.datasets.parts.base import Dataset
from pipeline.datasets.parts.spellings import CLASSES, class_of

MEANING = "classes.json"
"""In a set's own folder: what its folders or codes mean, as {"1": "surprise", "8": null}; null leaves one out."""

HIGHEST = 10
"""The highest number that a set uses for a class (AffectNet); folders with higher ones, as years, are no classes."""

Codes = Mapping[str, int | None]
"""What a code means: an index into ``EXPRESSIONS``; None where it is a class that is left out."""


def is_number(name: str) -> bool:
    """Whether a folder's name may be a class's number."""
    return name.isascii() and name.isdigit() and int(name) <= HIGHEST


def given_codes(dataset: Dataset) -> dict[str, int | None]:
    """What the user says in ``classes.json``; empty where there is no such file.

    Raises:
        DatasetError: the file is damaged, or names what is no class.
    """
    path = dataset.root / MEANING
    if not path.is_file():
        return {}
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise dataset.fault(f"{path}: cannot be read ({error}); correct the file") from error
    words = ", ".join(spellings[0] for spellings in CLASSES.values())
    if not isinstance(given, dict) or not given:
        raise dataset.fault(f'{path}: expected {{"1": "surprise", ...}} with classes of {words}, or null')
    for name, word in given.items():
        if word is not None and (not isinstance(word, str) or class_of(word) is None):
            raise dataset.fault(f"{path}: {name!r}: {word!r} is none of {words}, nor null; correct the file")
    dataset.say(f"classes as {MEANING} says")
    return {name: None if word is None else class_of(word) for name, word in given.items()}


def how_to_say(names: Iterable[str]) -> str:
    """What to do about numbers that nobody has said the meaning of."""
    first, *_ = names
    return (
        f'say what they mean in a file {MEANING} in the set\'s own folder, as {{"{first}": "...", ...}} with angry, '
        "disgust, fear, happy, sad, surprise, neutral or null, or rename them so; if they are no classes, rename them "
        f"as person-{first}"
    )
