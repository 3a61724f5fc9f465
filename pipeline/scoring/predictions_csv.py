"""Predictions of other programs, read from a CSV file and matched with the pictures of a data set.

A row has the path or name of a picture, and its expression or a probability for each expression.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.datasets.parts.classes import CLASS_WORDS
from pipeline.datasets.parts.lists import number_of
from pipeline.datasets.parts.tables import LABEL_COLUMNS, NAME_COLUMNS
from pipeline.errors import DatasetError, short_repr
from pipeline.files.names import as_text
from pipeline.labels import EXPRESSIONS, NUM_CLASSES
from pipeline.prediction.picture_table import PictureNames, PictureTable, expression_of
from pipeline.scoring.predicted import Predicted

PREDICTED_PICTURE_COLUMNS = ("picture", "source", *NAME_COLUMNS)
PREDICTION_COLUMNS = ("expression", "prediction", "predicted", "dominant_emotion", *LABEL_COLUMNS)
"""Possible names of the columns, in any case; the first one found is used."""

FACE_COLUMN = "face"
"""A column of ``pocan predict``: the number of the face; only face 1 of a picture is used."""

ROUNDING = 0.02
"""Deviation of a sum of probabilities from 1 that counts as rounding; larger ones are reported."""


class _Columns:
    """The indices of the columns that are read."""

    def __init__(self, table: PictureTable) -> None:
        self.expression = table.place_of(PREDICTION_COLUMNS)
        self.face = table.place_of((FACE_COLUMN,))
        words = [[f"p_{word}" for word in CLASS_WORDS[label]] + list(CLASS_WORDS[label]) for label in CLASS_WORDS]
        places = [table.place_of(names) for names in words]
        self.probabilities = places if sum(place is not None for place in places) > 1 else [None] * NUM_CLASSES
        if self.expression is None and not self.gives_probabilities:
            raise table.lacks("neither a column 'expression' nor columns of probabilities (p_anger … p_neutral)")

    @property
    def gives_probabilities(self) -> bool:
        return any(place is not None for place in self.probabilities)


def read_predictions(path: Path, keys: Sequence[str]) -> Predicted:
    """Read predictions for some pictures.

    If there are probabilities, the column of the expression is not read. A row without a prediction, for example
    because no face was found, counts as not predicted. Rows of other pictures are skipped.

    Args:
        path: the CSV file.
        keys: keys of the pictures, in order.

    Raises:
        DatasetError: the file cannot be read or has no suitable columns, a row is malformed, a picture occurs twice or
            ambiguously, or none of the pictures is in the file.
    """
    if not path.is_file():
        raise DatasetError(f"{path}: no such file; name a CSV of predictions with --predictions")
    table = PictureTable(path, PREDICTED_PICTURE_COLUMNS)
    columns, names, found = _Columns(table), PictureNames(keys), dict[int, list[float]]()
    others = unequal = 0
    for where, fields in table.rows():
        if columns.face is not None and fields[columns.face] not in ("", "1"):
            continue
        place = names.place_of(where, fields[table.picture])
        if place is None:
            others += 1
            continue
        if place in found:
            raise DatasetError(f"{where}: a second row for {keys[place]}; keep one")
        row = _row(where, fields, columns)
        unequal += columns.gives_probabilities and bool(row) and abs(sum(row) - 1.0) > ROUNDING
        found[place] = row
    if found and not any(found.values()):
        raise DatasetError(f"{path}: no prediction in the {len(found)} rows of these pictures; fill in their columns")
    if not found:
        raise DatasetError(
            f"{path}: none of its {len(found) + others} rows is a prediction for one of the {len(keys)} pictures, such "
            f"as {keys[0]}; give paths relative to the set's folder"
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
    """Return a weight for each expression; [] if the row has no prediction."""
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
    label = expression_of(where, word)
    return [float(label == index) for index in range(NUM_CLASSES)]


def _number(where: str, name: str, text: str) -> float:
    try:
        value = number_of(text.replace(",", "."))  # as spreadsheets write it, with semicolons between the columns
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise DatasetError(f"{where}: {short_repr(text)} is not a probability of {name}; correct the line")
    return value
