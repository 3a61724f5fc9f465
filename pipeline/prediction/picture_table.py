"""CSV files in which a row is a picture and its expression: a user's labels, or somebody's predictions.

They are UTF-8 with or without a byte order mark, with any line ends, and separated by ``,``, ``;`` or tabs. What is
wrong is named by file and line.
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
"""Names of columns, in any case; the first that is there counts."""


class PictureTable:
    """One CSV file, whose header is read at once and whose rows are read one by one.

    Attributes:
        where: the file and the line of the header, for errors.
        header: the columns' names as they are written.
        picture: the place of the column with the pictures' names.
    """

    def __init__(self, path: Path, picture_columns: Sequence[str] = PICTURE_COLUMNS) -> None:
        """Read the header.

        Args:
            path: the CSV file.
            picture_columns: what the column of pictures may be called.

        Raises:
            DatasetError: the file cannot be read, is no text in UTF-8, is empty, or has no column of pictures.
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
        """The place in a row of the first of some columns that is there; None where there is none of them.

        Raises:
            DatasetError: that column is there twice.
        """
        head = [name.casefold() for name in self.header]
        name = next((name for name in names if name in head), None)
        if name is None:
            return None
        if head.count(name) > 1:
            raise DatasetError(f"{self.where}: two columns {name!r}; remove one")
        return head.index(name)

    def lacks(self, what: str) -> DatasetError:
        """The error of a column that is missing."""
        return DatasetError(f"{self.where}: {what}; found {short_repr(', '.join(self.header))}")

    def rows(self) -> Iterator[tuple[str, list[str]]]:
        """The rows below the header that are not blank.

        Yields:
            Where the row is (for errors), and its fields, as many as the header has: a row may leave out its last
            ones.

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
    """The index into ``EXPRESSIONS`` of what a row calls an expression.

    Raises:
        DatasetError: it is no expression.
    """
    label = class_of(word)
    if label is None:
        raise DatasetError(
            f"{where}: {short_repr(word)} is none of {', '.join(EXPRESSIONS)}; correct it, or leave it empty where "
            "nothing is known"
        )
    return label


class PictureNames:
    """Finds a picture by what a file calls it: its key, a longer path that ends with it, or its last parts."""

    def __init__(self, keys: Sequence[str], folders: Collection[str] | None = None) -> None:
        """Take in the pictures.

        Args:
            keys: of the pictures in their set, in their order.
            folders: the names of the folder that the keys are below; a longer path is a picture's only if one of them
                stands before the key. None: whatever stands before it.
        """
        self._folders = folders
        self._keys = {key: place for place, key in enumerate(keys)}
        self._ends: dict[str, int | None] = {}  # None: several pictures end so
        for place, key in enumerate(keys):
            for end in _ends(key):
                self._ends[end] = None if end in self._ends else place

    def place_of(self, where: str, name: str) -> int | None:
        """The place of a picture among the keys; None where it is none of them.

        Raises:
            DatasetError: several pictures are called so.
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
        """Whether a key may stand after what a longer path has before it, which may be nothing."""
        return not before or self._folders is None or PurePosixPath(before).name in self._folders


def _ends(path: str) -> Iterator[str]:
    """A path, and what is left of it without its first folders."""
    parts = path.split("/")
    return ("/".join(parts[start:]) for start in range(len(parts)))
