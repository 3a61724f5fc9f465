"""How folders and files spell the classes and the parts of a set: the one place that knows."""

from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE

CLASSES = {
    ANGER: ("anger", "angry", "an"),
    DISGUST: ("disgust", "disgusted", "di"),
    FEAR: ("fear", "fearful", "afraid", "fe"),
    HAPPINESS: ("happiness", "happy", "ha"),
    SADNESS: ("sadness", "sad", "sa"),
    SURPRISE: ("surprise", "surprised", "su"),
    NEUTRAL: ("neutral", "ne"),
}
PARTS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


def class_of(word: str) -> int | None:
    """Index into ``EXPRESSIONS`` of a class name, in any case; None where it names no class."""
    return next((label for label, words in CLASSES.items() if word.casefold() in words), None)


def part_of(word: str) -> str | None:
    """``train``, ``val`` or ``test`` for the name of a set's part, in any case; None where it names no part."""
    return next((part for part, words in PARTS.items() if word.casefold() in words), None)
