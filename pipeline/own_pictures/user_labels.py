"""The user's labels of a few pictures, from a CSV file or from sub-folders named after the classes.

A CSV file has the columns ``picture`` and ``expression``; other columns are ignored. A picture is named as in
label-next.csv (its path below the folder of pictures, with ``/``), by a path that starts with the folder's name, or by
the last parts of its path if they are unique. Lines without an expression are skipped, so that label-next.csv itself
can be filled in.
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
        key: the picture's key in its data set.
        label: index into ``EXPRESSIONS``.
        place: where the label comes from, for messages: "few.csv, line 3".
    """

    key: str
    label: int
    place: str


def read_labels(path: Path, pictures: Dataset) -> list[UserLabel]:
    """Read the user's labels.

    Args:
        path: a CSV file, or a folder with one sub-folder per class.
        pictures: the pictures to adapt to.

    Returns:
        One label for each labelled picture, in the order of the file.

    Raises:
        DatasetError: the file cannot be read, contains unknown pictures or expressions, contradicts itself, or has
            labels of only one class. The message names the line.
    """
    if path.is_dir():
        found = list(_from_folders(path, pictures))
    elif path.is_file():
        found = list(_from_csv(path, pictures))
    else:
        raise DatasetError(f"{path}: no such file or folder; name a CSV with the columns {PICTURE} and {EXPRESSION}")
    given = _without_repetitions(found)
    if not given:
        raise DatasetError(f"{as_text(path)}: no label; give each {PICTURE} an {EXPRESSION}, or omit --labels")
    first = given[0]
    if all(one.label == first.label for one in given):
        raise DatasetError(
            f"{as_text(path)}: all labels are {EXPRESSIONS[first.label]} (from {first.place} on); label pictures "
            "of at least two expressions"
        )
    return given


def single_labels(given: Sequence[UserLabel]) -> list[str]:
    """Return a message for each class with only one label, for which cross-validation has no training picture."""
    by_class: dict[int, list[UserLabel]] = {}
    for one in given:
        by_class.setdefault(one.label, []).append(one)
    return [
        f"{of_class[0].place}: the only label of {EXPRESSIONS[label]}; testing a fit of this class needs at least 2"
        for label, of_class in by_class.items()
        if len(of_class) == 1
    ]


def _without_repetitions(found: Sequence[UserLabel]) -> list[UserLabel]:
    """Remove repeated labels.

    Raises:
        DatasetError: a picture has two different labels.
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
    # Pictures of other folders may have the same file names; their labels must not be used.
    names = PictureNames(keys, {pictures.root.absolute().name, pictures.root.resolve().name})
    for where, fields in table.rows():
        name, word = fields[table.picture], fields[expression]
        if not word:
            continue
        label, place = expression_of(where, word), names.place_of(where, name)
        if place is None:
            raise DatasetError(
                f"{where}: {short_key(name)}: no such {pictures.unit} in {as_text(pictures.root)}; give its path below "
                "that folder"
            )
        yield UserLabel(keys[place], label, where)


def _from_folders(folder: Path, pictures: Dataset) -> Iterator[UserLabel]:
    """Yield labels from class folders, which are inside the folder of pictures or contain copies of them.

    Raises:
        DatasetError: a sub-folder is not named after a class, or a picture is not among those to adapt to.
    """
    if pictures.unit == "frame":
        raise DatasetError(f"{as_text(folder)}: labels of video frames must be a CSV file; fill in label-next.csv")
    home = folder.resolve()
    inside = home.is_relative_to(pictures.root.resolve())
    known = {sample.key for sample in pictures.samples()}
    copies = None if inside else _Contents(pictures)
    for of_class in picture_folders(folder):
        label = class_of(of_class.name)
        if label is None:
            if inside:  # unlabelled pictures may be in neighbouring folders
                continue
            raise DatasetError(
                f"{as_text(of_class)}: {of_class.name!r} is not an expression; rename it: {', '.join(EXPRESSIONS)}"
            )
        for path in pictures_below(of_class):
            if copies is None:
                below = home / path.relative_to(folder)  # a link counts by its own path, not by its target's
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
    """Finds pictures of a set by file content; only files of the same size are read."""

    def __init__(self, pictures: Dataset) -> None:
        self._by_size: dict[int, list[tuple[str, Path]]] = {}
        self._digests: dict[Path, str] = {}
        for sample in pictures.samples():
            path = pictures.file(sample)
            self._by_size.setdefault(path.stat().st_size, []).append((sample.key, path))

    def key(self, path: Path) -> str | None:
        """Return the key of the picture with the same bytes; None if there is none."""
        wanted = self._digest(path)
        alike = self._by_size.get(path.stat().st_size, [])
        return next((key for key, other in alike if self._digest(other) == wanted), None)

    def _digest(self, path: Path) -> str:
        return self._digests.setdefault(path, sha256(path))


def digest(given: Sequence[UserLabel]) -> str:
    """Return the SHA-256 of the labels and their pictures, independent of the order."""
    lines = sorted(f"{one.key}\t{one.label}" for one in given)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
