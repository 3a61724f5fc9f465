"""The meaning of a network's outputs: which of the seven expressions each is, by the names of its classes."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.datasets.parts.classes import CLASS_WORDS, class_of
from pipeline.errors import ParamsError, short_repr
from pipeline.labels import EXPRESSIONS
from pipeline.registry import suggestion

KNOWN_OTHERS = ("contempt", "contemptuous", "other", "others", "none", "unknown", "uncertain", "no-face")
"""Classes of common sets that are not among the seven; omitted unless the user gives them a meaning."""

NOTHING = "-"
"""Written after a name and "=" to omit the class."""

FEWEST = 2
"""Minimum number of expressions that a network must know."""


@dataclass(frozen=True)
class ClassMap:
    """The meaning of a network's outputs.

    Attributes:
        names: the names of all its classes, in order.
        rows: the output of each expression that it knows, by the expression's index into ``EXPRESSIONS``.
    """

    names: tuple[str, ...]
    rows: dict[int, int]

    @property
    def left_out(self) -> tuple[str, ...]:
        """The classes that are not expressions of this project."""
        used = set(self.rows.values())
        return tuple(name for place, name in enumerate(self.names) if place not in used)

    @property
    def missing(self) -> tuple[str, ...]:
        """The expressions that the network does not know."""
        return tuple(name for label, name in enumerate(EXPRESSIONS) if label not in self.rows)

    def sentence(self) -> str:
        """Return a message with the meaning of the outputs, the omitted classes and the missing expressions."""
        meant = {place: EXPRESSIONS[label] for label, place in self.rows.items()}
        parts = [", ".join(f"{name} → {meant[place]}" for place, name in enumerate(self.names) if place in meant)]
        if self.left_out:
            parts.append(f"left out, with the others normalised to sum 1: {', '.join(self.left_out)}")
        if self.missing:
            parts.append(f"never predicted, because the network does not know it: {', '.join(self.missing)}")
        return "; ".join(parts)


def class_map(names: Sequence[str]) -> ClassMap:
    """Interpret the names of a network's classes.

    Args:
        names: the names in the order of the outputs, such as "happy", "joy=happiness" or "boredom=-".

    Raises:
        ParamsError: a name is unknown, two classes mean the same expression, or fewer than two are left.
    """
    plain: list[str] = []
    rows: dict[int, int] = {}
    for place, text in enumerate(names):
        name, equals, meaning = (part.strip() for part in text.partition("="))
        plain.append(name)
        label = _label(name, meaning if equals else None)
        if label is None:
            continue
        if label in rows:
            raise ParamsError(
                f"--classes: {plain[rows[label]]} and {name} both mean {EXPRESSIONS[label]}; leave one out with "
                f"{name}={NOTHING}"
            )
        rows[label] = place
    if len(rows) < FEWEST:
        raise ParamsError(
            f"--classes: {len(rows)} of {len(names)} classes mean an expression of {', '.join(EXPRESSIONS)}"
        )
    return ClassMap(tuple(plain), rows)


def _label(name: str, meaning: str | None) -> int | None:
    """Return the expression that a class means; None: omit the class.

    Raises:
        ParamsError: the name, or its meaning, is unknown.
    """
    if meaning == NOTHING:
        return None
    word = name if meaning is None else meaning
    label = class_of(word)
    if label is not None:
        return label
    if meaning is None and name.casefold().replace(" ", "-").replace("_", "-") in KNOWN_OTHERS:
        return None
    words = [word for spellings in CLASS_WORDS.values() for word in spellings]
    raise ParamsError(
        f"--classes: unknown class {short_repr(word)}{suggestion(word.casefold(), words)}; write {name or 'NAME'}="
        f"EXPRESSION with one of {', '.join(EXPRESSIONS)}, or {name or 'NAME'}={NOTHING} to leave it out"
    )
