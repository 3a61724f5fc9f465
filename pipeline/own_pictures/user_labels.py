"""The expressions that a user gives of a few pictures: a CSV file, or sub-folders named after the classes.

A CSV file has the columns ``picture`` and ``expression``; further ones are passed over. A picture is named as
label-next.csv names it (below the folder of pictures, with ``/``), by a path that has the folder's name before that, or
by as much of its end as is enough.
A line without an expression is passed over, so that label-next.csv itself can be filled in and given.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.datasets.parts.base import Dataset
from pipeline.datasets.parts.classes import class_of
from pipeline.datasets.parts.folders import picture_folders, pictures_below
from pipeline.errors import DatasetError, short_key
from pipeline.files.io import sha256
from pipeline.files.names import as_text
from pipeline.labels import EXPRESSIONS
from pipeline.prediction.picture_table import (
    EXPRESSION,
    EXPRESSION_COLUMNS,
    PICTURE,
    PictureNames,
    PictureTable,
    expression_of,
)


@dataclass(frozen=True)
class UserLabel:
    """One label.

    Attributes:
        key: of the picture in its set.
        label: index into ``EXPRESSIONS``.
        place: where it was given, for messages: "few.csv, line 3".
    """

    key: str
    label: int
    place: str


def read_labels(path: Path, pictures: Dataset) -> list[UserLabel]:
    """Read the labels of some pictures.

    Args:
        path: a CSV file, or a folder with a sub-folder a class.
        pictures: those that are adapted to.

    Returns:
        One for each labelled picture, in the order in which they were given.

    Raises:
        DatasetError: the file cannot be read, names a picture or an expression that is none, contradicts itself, or
            has labels of one class alone. The message names the line.
    """
    if path.is_dir():
        found = list(_from_folders(path, pictures))
    elif path.is_file():
        found = list(_from_csv(path, pictures))
    else:
        raise DatasetError(f"{path}: no such file or folder; name a CSV with the columns {PICTURE} and {EXPRESSION}")
    given = _without_repetitions(found)
    if not given:
        raise DatasetError(f"{as_text(path)}: no label; give each {PICTURE} an {EXPRESSION}, or leave --labels out")
    first = given[0]
    if all(one.label == first.label for one in given):
        raise DatasetError(
            f"{as_text(path)}: all labels are {EXPRESSIONS[first.label]} (from {first.place} on); label pictures "
            "of two expressions at least"
        )
    return given


def single_labels(given: Sequence[UserLabel]) -> list[str]:
    """A message for each class with one label: its cross-validation can use the source's prototype alone."""
    by_class: dict[int, list[UserLabel]] = {}
    for one in given:
        by_class.setdefault(one.label, []).append(one)
    return [
        f"{of_class[0].place}: the only label of {EXPRESSIONS[label]}; whether it is fitted well can be tried from 2 on"
        for label, of_class in by_class.items()
        if len(of_class) == 1
    ]


def _without_repetitions(found: Sequence[UserLabel]) -> list[UserLabel]:
    """Each picture once.

    Raises:
        DatasetError: a picture has two expressions.
    """
    by_key: dict[str, UserLabel] = {}
    for one in found:
        before = by_key.setdefault(one.key, one)
        if before.label != one.label:
            raise DatasetError(
                f"{one.place}: {one.key} is {EXPRESSIONS[one.label]} here and {EXPRESSIONS[before.label]} in "
                f"{before.place}; keep one of them"
            )
    return list(by_key.values())


def _from_csv(path: Path, pictures: Dataset) -> Iterator[UserLabel]:
    table = PictureTable(path)
    expression = table.place_of(EXPRESSION_COLUMNS)
    if expression is None:
        raise table.lacks(f"no column {EXPRESSION!r}")
    keys = [sample.key for sample in pictures.samples()]
    # Pictures of other folders may have the same names: their labels must not be taken for these.
    names = PictureNames(keys, {pictures.root.absolute().name, pictures.root.resolve().name})
    for where, fields in table.rows():
        name, word = fields[table.picture], fields[expression]
        if not word:
            continue
        label, place = expression_of(where, word), names.place_of(where, name)
        if place is None:
            raise DatasetError(
                f"{where}: {short_key(name)}: no such {pictures.unit} in {as_text(pictures.root)}; name it as it lies "
                "below that folder"
            )
        yield UserLabel(keys[place], label, where)


def _from_folders(folder: Path, pictures: Dataset) -> Iterator[UserLabel]:
    """Pictures in class folders: those of the set where the folder lies in it, else copies of them.

    Raises:
        DatasetError: a sub-folder is no class, or a picture is none of the set.
    """
    if pictures.unit == "frame":
        raise DatasetError(
            f"{as_text(folder)}: frames of a video are named by a CSV; take label-next.csv as it is made"
        )
    home = folder.resolve()
    inside = home.is_relative_to(pictures.root.resolve())
    known = {sample.key for sample in pictures.samples()}
    copies = None if inside else _Contents(pictures)
    for of_class in picture_folders(folder):
        label = class_of(of_class.name)
        if label is None:
            if inside:  # the unlabelled rest may lie beside
                continue
            raise DatasetError(
                f"{as_text(of_class)}: {of_class.name!r} is no expression; rename it, use {', '.join(EXPRESSIONS)}"
            )
        for path in pictures_below(of_class):
            if copies is None:
                below = home / path.relative_to(folder)  # a link is the picture that it is named as
                key: str | None = below.relative_to(pictures.root.resolve()).as_posix()
            else:
                key = copies.key(path)
            if key not in known or key is None:
                raise DatasetError(
                    f"{as_text(path)}: none of the pictures in {as_text(pictures.root)} has the same content; copy it "
                    "there as well"
                )
            yield UserLabel(key, label, as_text(path))


class _Contents:
    """The pictures of a set by what is in their files; only those of a wanted size are read."""

    def __init__(self, pictures: Dataset) -> None:
        self._by_size: dict[int, list[tuple[str, Path]]] = {}
        self._digests: dict[Path, str] = {}
        for sample in pictures.samples():
            path = pictures.file(sample)
            self._by_size.setdefault(path.stat().st_size, []).append((sample.key, path))

    def key(self, path: Path) -> str | None:
        """The key of the picture with the same bytes, None where there is none."""
        wanted = self._digest(path)
        alike = self._by_size.get(path.stat().st_size, [])
        return next((key for key, other in alike if self._digest(other) == wanted), None)

    def _digest(self, path: Path) -> str:
        return self._digests.setdefault(path, sha256(path))


def digest(given: Sequence[UserLabel]) -> str:
    """The SHA-256 of labels: which picture has which."""
    lines = sorted(f"{one.key}\t{one.label}" for one in given)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
