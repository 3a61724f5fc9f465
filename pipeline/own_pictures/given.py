"""The expressions that a user gives of a few pictures: a CSV file, or sub-folders named after the classes.

A CSV file has the columns ``picture`` and ``expression``; further ones are passed over. A picture is named as
label-next.csv names it (below the folder of pictures, with ``/``), or by its path. A line without an expression is
passed over, so that label-next.csv itself can be filled in and given.
"""

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.datasets.parts.base import Dataset
from pipeline.datasets.parts.classes import class_of
from pipeline.datasets.parts.folders import picture_folders, pictures_below
from pipeline.datasets.parts.lists import delimiter_of
from pipeline.errors import DatasetError, short_key
from pipeline.files.io import sha256
from pipeline.files.names import as_text
from pipeline.labels import EXPRESSIONS

PICTURE, EXPRESSION = "picture", "expression"


@dataclass(frozen=True)
class Given:
    """One label.

    Attributes:
        key: of the picture in its set.
        label: index into ``EXPRESSIONS``.
        place: where it was given, for messages: "few.csv, line 3".
    """

    key: str
    label: int
    place: str


def read_labels(path: Path, pictures: Dataset) -> list[Given]:
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


def single_labels(given: Sequence[Given]) -> list[str]:
    """A message for each class with one label: its cross-validation can use the source's prototype alone."""
    by_class: dict[int, list[Given]] = {}
    for one in given:
        by_class.setdefault(one.label, []).append(one)
    return [
        f"{of_class[0].place}: the only label of {EXPRESSIONS[label]}; whether it is fitted well can be tried from 2 on"
        for label, of_class in by_class.items()
        if len(of_class) == 1
    ]


def _without_repetitions(found: Sequence[Given]) -> list[Given]:
    """Each picture once.

    Raises:
        DatasetError: a picture has two expressions.
    """
    by_key: dict[str, Given] = {}
    for one in found:
        before = by_key.setdefault(one.key, one)
        if before.label != one.label:
            raise DatasetError(
                f"{one.place}: {one.key} is {EXPRESSIONS[one.label]} here and {EXPRESSIONS[before.label]} in "
                f"{before.place}; keep one of them"
            )
    return list(by_key.values())


def _from_csv(path: Path, pictures: Dataset) -> Iterator[Given]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{as_text(path)}: cannot be read ({error}); save it as CSV in UTF-8") from error
    names = _names(pictures)
    try:
        delimiter = delimiter_of(text.partition("\n")[0])
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        reader.fieldnames = [name.strip().casefold() for name in reader.fieldnames or ()]
        lacking = [name for name in (PICTURE, EXPRESSION) if name not in (reader.fieldnames or ())]
        if lacking:
            raise DatasetError(
                f"{as_text(path)}, line 1: no column {' or '.join(lacking)}; begin with {PICTURE},{EXPRESSION}"
            )
        for row in reader:
            if word := (row[EXPRESSION] or "").strip():
                yield _given(row[PICTURE] or "", word, f"{as_text(path)}, line {reader.line_num}", pictures, names)
    except csv.Error as error:
        raise DatasetError(f"{as_text(path)}, line {reader.line_num}: no CSV ({error}); save it again") from error


def _names(pictures: Dataset) -> dict[str, str]:
    """The key of each picture, by the names under which a file of labels may have it."""
    keys = [sample.key for sample in pictures.samples()]
    roots = (pictures.root.resolve(), pictures.root)
    return {as_text(root / key): key for root in roots for key in keys} | {key: key for key in keys}


def _given(name: str, word: str, place: str, pictures: Dataset, names: Mapping[str, str]) -> Given:
    label = class_of(word)
    if label is None:
        raise DatasetError(f"{place}: {short_key(word)} is no expression; use {', '.join(EXPRESSIONS)}")
    key = names.get(name) or names.get(as_text(Path(name)))
    if key is None:
        raise DatasetError(
            f"{place}: {short_key(name)}: no such {pictures.unit} in {as_text(pictures.root)}; name it as it lies "
            "below that folder"
        )
    return Given(key, label, place)


def _from_folders(folder: Path, pictures: Dataset) -> Iterator[Given]:
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
            yield Given(key, label, as_text(path))


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


def digest(given: Sequence[Given]) -> str:
    """The SHA-256 of labels: which picture has which."""
    lines = sorted(f"{one.key}\t{one.label}" for one in given)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
