"""Other people's predictions, read from a CSV file and matched with the pictures of a set.

A row is a picture: its path or name, and the expression, or a probability for each expression. The file is read as the
lists of data sets are (``pipeline.datasets.parts.lists``): UTF-8 with or without a byte order mark, any line ends, and
what is wrong is named by file and line.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np

from pipeline.datasets.parts.base import Dataset
from pipeline.datasets.parts.classes import CLASS_WORDS, class_of
from pipeline.datasets.parts.lists import table_rows
from pipeline.datasets.parts.tables import LABEL_COLUMNS, NAME_COLUMNS
from pipeline.errors import DatasetError, short_repr
from pipeline.files.names import as_text
from pipeline.labels import EXPRESSIONS, NUM_CLASSES
from pipeline.scoring.predicted import Predicted

PICTURE_COLUMNS = ("picture", "source", *NAME_COLUMNS)
EXPRESSION_COLUMNS = ("expression", "prediction", "predicted", "dominant_emotion", *LABEL_COLUMNS)
"""Names of columns, in any case; the first that is there counts."""

FACE_COLUMN = "face"
"""Of ``pocan predict``: a picture's faces by number, of which the first is taken."""

ROUNDING = 0.02
"""Probabilities whose sum is nearer to 1 than this are taken as rounded; others are said to have been made to fit."""


class _Columns:
    """Where a table has what is read of it."""

    def __init__(self, where: str, header: Sequence[str]) -> None:
        head = [name.casefold() for name in header]
        self.count = len(head)
        self.picture = _first(head, PICTURE_COLUMNS)
        self.expression = _first(head, EXPRESSION_COLUMNS)
        self.face = _first(head, (FACE_COLUMN,))
        words = [[f"p_{word}" for word in CLASS_WORDS[label]] + list(CLASS_WORDS[label]) for label in CLASS_WORDS]
        places = [_first(head, names) for names in words]
        self.probabilities = places if sum(place is not None for place in places) > 1 else [None] * NUM_CLASSES
        found = short_repr(", ".join(header))
        if self.picture is None:
            raise DatasetError(f"{where}: no column 'picture' with the pictures' paths or names; found {found}")
        if self.expression is None and not self.gives_probabilities:
            raise DatasetError(
                f"{where}: neither a column 'expression' nor columns of probabilities (p_anger … p_neutral); found "
                f"{found}"
            )

    @property
    def gives_probabilities(self) -> bool:
        return any(place is not None for place in self.probabilities)


def read_predictions(path: Path, dataset: Dataset, keys: Sequence[str]) -> Predicted:
    """Read the predictions of some pictures.

    Where there are probabilities they decide, and the column of the expression is not read. A row without a
    prediction, as of a picture in which no face was found, counts as none; rows of other pictures are passed over.

    Args:
        path: the CSV file.
        dataset: the set of the pictures.
        keys: of the pictures, in their order.

    Raises:
        DatasetError: the file cannot be read, has no fitting columns, a row is malformed, a picture is named twice or
            ambiguously, or no picture of the set is in it.
    """
    if not path.is_file():
        raise DatasetError(f"{path}: no such file; name a CSV of predictions with --predictions")
    columns: _Columns | None = None
    places, found = _Places(keys), dict[int, list[float]]()
    others = unequal = 0
    with _without_layout():
        for where, fields in table_rows(dataset, path):
            if columns is None:
                columns = _Columns(where, fields)
                continue
            if len(fields) != columns.count:
                raise DatasetError(f"{where}: {len(fields)} columns instead of {columns.count}; correct the line")
            if columns.face is not None and fields[columns.face] not in ("", "1"):
                continue
            assert columns.picture is not None
            place = places.of(where, fields[columns.picture])
            if place is None:
                others += 1
                continue
            if place in found:
                raise DatasetError(f"{where}: a second row for {keys[place]}; keep one")
            row = _row(where, fields, columns)
            unequal += columns.gives_probabilities and bool(row) and abs(sum(row) - 1.0) > ROUNDING
            found[place] = row
    if columns is None:
        raise DatasetError(f"{path}: the file is empty")
    if not any(found.values()):
        raise DatasetError(
            f"{path}: none of its {len(found) + others} rows is a prediction for one of the {len(keys)} pictures, as "
            f"{keys[0]}; give paths from the set's own folder"
        )
    return _predicted(path, keys, found, columns, others, unequal)


def _predicted(
    path: Path, keys: Sequence[str], found: dict[int, list[float]], columns: _Columns, others: int, unequal: int
) -> Predicted:
    values = np.zeros((len(keys), NUM_CLASSES))
    known = np.zeros(len(keys), dtype=bool)
    for place, row in found.items():
        if row:
            values[place], known[place] = row, True
    values[known] /= values[known].sum(axis=1, keepdims=True)
    notes = []
    if others:
        notes.append(f"{others} rows are of other pictures")
    if unequal:
        notes.append(f"probabilities of {unequal} rows do not sum to 1: they are divided by their sum")
    if columns.gives_probabilities:
        lacking = [name for name, at in zip(EXPRESSIONS, columns.probabilities, strict=True) if at is None]
        if lacking:
            notes.append(f"no column for {', '.join(lacking)}: taken as never predicted")
    return Predicted(
        name=as_text(path),
        kind="predictions",
        drawn=False,
        known=known,
        classes=values.argmax(axis=1).astype(np.int64),
        probabilities=values if columns.gives_probabilities else None,
        notes=tuple(notes),
    )


def _row(where: str, fields: Sequence[str], columns: _Columns) -> list[float]:
    """A weight for each expression; [] where the row predicts nothing."""
    if columns.gives_probabilities:
        texts = ["0" if place is None else fields[place] for place in columns.probabilities]
        if not any(fields[place] for place in columns.probabilities if place is not None):
            return []
        row = [_number(where, name, text) for name, text in zip(EXPRESSIONS, texts, strict=True)]
        if sum(row) <= 0:
            raise DatasetError(f"{where}: all probabilities are 0; leave the row empty where nothing was predicted")
        return row
    assert columns.expression is not None
    word = fields[columns.expression]
    if not word:
        return []
    label = class_of(word)
    if label is None:
        raise DatasetError(
            f"{where}: {short_repr(word)} is none of {', '.join(EXPRESSIONS)}; correct it, or leave it empty where "
            "nothing was predicted"
        )
    return [float(label == index) for index in range(NUM_CLASSES)]


def _number(where: str, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise DatasetError(f"{where}: {short_repr(text)} is no probability of {name}; correct the line")
    return value


class _Places:
    """Finds a picture's place by what a file calls it: its key, a longer path that ends with it, or its last parts."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = {key: place for place, key in enumerate(keys)}
        self._ends: dict[str, int | None] = {}  # None: several pictures end so
        for place, key in enumerate(keys):
            for end in _ends(key):
                self._ends[end] = None if end in self._ends else place

    def of(self, where: str, name: str) -> int | None:
        """The place of a picture; None where it is none of them.

        Raises:
            DatasetError: several pictures are called so.
        """
        plain = PurePosixPath(name.replace("\\", "/")).as_posix()
        for end in _ends(plain):
            if end in self._keys:
                return self._keys[end]
        if self._ends.get(plain, 0) is None:
            raise DatasetError(f"{where}: several pictures are called {short_repr(name)}; give their folders, too")
        return self._ends.get(plain)


def _ends(path: str) -> Iterator[str]:
    """A path, and what is left of it without its first folders."""
    parts = path.split("/")
    return ("/".join(parts[start:]) for start in range(len(parts)))


def _first(head: Sequence[str], names: Sequence[str]) -> int | None:
    return next((head.index(name) for name in names if name in head), None)


@contextmanager
def _without_layout() -> Iterator[None]:
    """Leave out of errors what the set's layout is: the file is none of the set's."""
    try:
        yield
    except DatasetError as error:
        raise DatasetError(str(error).partition("\n")[0]) from error
