"""CSV files of pictures and their expressions: a user's labels, or predictions of another program.

They are UTF-8 with or without a byte order mark, with any line ends, and separated by ``,``, ``;`` or tabs. Errors name
file and line.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath

from pipeline.datasets.parts.classes import class_of
from pipeline.datasets.parts.lists import table_rows
from pipeline.datasets.parts.tables import LABEL_COLUMNS, NAME_COLUMNS
from pipeline.errors import DatasetError, short_repr
from pipeline.files.names import as_text
from pipeline.labels import EXPRESSIONS

PICTURE, EXPRESSION = "picture", "expression"
PICTURE_COLUMNS = (PICTURE, *NAME_COLUMNS)
EXPRESSION_COLUMNS = (EXPRESSION, *LABEL_COLUMNS)
"""Possible names of the columns, in any case; the first one found is used."""


class PictureTable:
    """A CSV file. The constructor reads the header; ``rows`` reads the rows one by one.

    Attributes:
        where: file and line of the header, for errors.
        header: the column names as written.
        picture: index of the column with the pictures' names.
    """

    def __init__(self, path: Path, picture_columns: Sequence[str] = PICTURE_COLUMNS) -> None:
        """Read the header.

        Args:
            path: the CSV file.
            picture_columns: possible names of the column of pictures.

        Raises:
            DatasetError: the file cannot be read, is not UTF-8 text, is empty, or has no column of pictures.
        """
        self._rows = table_rows(path, DatasetError)
        found = next(self._rows, None)
        if found is None:
            raise DatasetError(f"{as_text(path)}: the file is empty; begin it with {PICTURE},{EXPRESSION}")
        self.where, self.header = found
        picture = self.place_of(picture_columns)
        if picture is None:
            raise self.lacks(f"no column {PICTURE!r} with the pictures' paths or names")
        self.picture = picture

    def place_of(self, names: Sequence[str]) -> int | None:
        """Return the index of the first of these columns that exists; None if none does.

        Raises:
            DatasetError: that column occurs twice.
        """
        head = [name.casefold() for name in self.header]
        name = next((name for name in names if name in head), None)
        if name is None:
            return None
        if head.count(name) > 1:
            raise DatasetError(f"{self.where}: two columns {name!r}; remove one")
        return head.index(name)

    def lacks(self, what: str) -> DatasetError:
        """Return the error for a missing column."""
        return DatasetError(f"{self.where}: {what}; found {short_repr(', '.join(self.header))}")

    def rows(self) -> Iterator[tuple[str, list[str]]]:
        """Yield the rows below the header that are not blank.

        Yields:
            File and line (for errors), and the fields; missing fields at the end of a row are empty.

        Raises:
            DatasetError: a row is malformed, or has more fields than the header.
        """
        for where, fields in self._rows:
            if any(fields[len(self.header) :]):
                raise DatasetError(
                    f"{where}: {len(fields)} columns instead of {len(self.header)}; put quotation marks around a name "
                    "that has the separator in it"
                )
            yield where, (fields + [""] * len(self.header))[: len(self.header)]


def expression_of(where: str, word: str) -> int:
    """Return the index into ``EXPRESSIONS`` of a word in a row.

    Raises:
        DatasetError: the word is not an expression.
    """
    label = class_of(word)
    if label is None:
        raise DatasetError(
            f"{where}: {short_repr(word)} is none of {', '.join(EXPRESSIONS)}; correct it, or leave it empty where "
            "nothing is known"
        )
    return label


class PictureNames:
    """Finds a picture by its key, by a longer path that ends with the key, or by the last parts of the key."""

    def __init__(self, keys: Sequence[str], folders: Collection[str] | None = None) -> None:
        """Index the pictures.

        Args:
            keys: keys of the pictures, in order.
            folders: possible names of the folder that contains the keys; in a longer path, one of them must precede the
                key. None: anything may precede it.
        """
        self._folders = folders
        self._keys = {key: place for place, key in enumerate(keys)}
        self._ends: dict[str, int | None] = {}  # None: several pictures end so
        for place, key in enumerate(keys):
            for end in _ends(key):
                self._ends[end] = None if end in self._ends else place

    def place_of(self, where: str, name: str) -> int | None:
        """Return the index of a picture among the keys; None if it is not among them.

        Raises:
            DatasetError: several pictures match the name.
        """
        if name in self._keys:
            return self._keys[name]
        plain = PurePosixPath(name.replace("\\", "/")).as_posix()
        for end in _ends(plain):
            if end in self._keys and self._may_follow(plain.removesuffix(end)):
                return self._keys[end]
        if self._ends.get(plain, 0) is None:
            raise DatasetError(f"{where}: several pictures are called {short_repr(name)}; give their folders, too")
        return self._ends.get(plain)

    def _may_follow(self, before: str) -> bool:
        """Return whether ``before``, which may be empty, may precede a key in a longer path."""
        return not before or self._folders is None or PurePosixPath(before).name in self._folders


def _ends(path: str) -> Iterator[str]:
    """Yield a path, and the path without its first 1, 2, … folders."""
    parts = path.split("/")
    return ("/".join(parts[start:]) for start in range(len(parts)))
