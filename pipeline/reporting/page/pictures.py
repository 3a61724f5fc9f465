"""The pictures on the page: under the pointer, and in the table of predictions."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from pipeline.data.crops import CropStore
from pipeline.data.prepared import Indices
from pipeline.labels import EXPRESSIONS
from pipeline.reporting.page.content import Predictions, Sheet

SIDE = 56
"""Side of a copy, in pixels."""
COLUMNS = 40
QUALITY = 80


@dataclass(frozen=True)
class SetPictures:
    """The pictures of a data set on the page.

    Attributes:
        title: title of the data set.
        sheet: name of the sprite sheet.
        keys: files of the pictures, by row; None if the crops are not available.
        cells: position of a row's copy on the sheet; empty without copies.
    """

    title: str
    sheet: str
    keys: Sequence[str] | None
    cells: dict[int, int]

    def captions(self, rows: Sequence[int]) -> list[list[str | int]]:
        """Return file and cell of the copy of each row; cell -1: no copy."""
        names = [f"picture {row}" if self.keys is None else self.keys[row] for row in rows]
        return [[name, self.cells.get(row, -1)] for name, row in zip(names, rows, strict=True)]


def set_pictures(title: str, name: str, store: CropStore | None, rows: Sequence[int]) -> SetPictures:
    """Return the pictures of a data set for the page.

    Args:
        title: title of the data set.
        name: name of its sprite sheet.
        store: its crops; None if not available.
        rows: rows that are copied to the sheet; empty for no copies.
    """
    cells = {row: cell for cell, row in enumerate(sorted(set(rows)))}
    return SetPictures(title, name, None if store is None else store.samples["key"].tolist(), cells)


def sheet(images: NDArray[np.uint8], cells: dict[int, int]) -> Sheet:
    """Return a sprite sheet of some of ``images`` (N×h×w×3); the same pictures give the same bytes."""
    lines = -(-len(cells) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * SIDE, lines * SIDE))
    for row, cell in cells.items():
        copy = Image.fromarray(np.array(images[row])).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        page.paste(copy, (cell % COLUMNS * SIDE, cell // COLUMNS * SIDE))
    file = io.BytesIO()
    page.save(file, "JPEG", quality=QUALITY)
    return Sheet(f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}", SIDE, COLUMNS)


MAX_PREDICTIONS = 2000
"""Maximum number of pictures of a target on the page; from more, a random sample is drawn."""


def sample_rows(rows: Indices) -> Indices:
    """Return at most ``MAX_PREDICTIONS`` random rows, ascending; always the same ones."""
    return np.sort(np.random.Generator(np.random.PCG64(0)).permutation(rows)[:MAX_PREDICTIONS])


def page_predictions(
    table: pd.DataFrame,
    labels: NDArray[np.int64],
    rows: Indices,
    of: Indices,
    what: str,
    shown: SetPictures,
    before: NDArray[np.float64] | None = None,
) -> Predictions:
    """Return the table of predictions for the page.

    Args:
        table: one row per picture of the store, from ``evaluation.scorecard.predictions_table``.
        labels: labels of all pictures of the store, N int64; -1: none.
        rows: rows to show, from ``sample_rows``.
        of: rows from which these were sampled.
        what: the word for the pictures: "test pictures".
        shown: the pictures of the data set.
        before: calibrated probabilities by the source model for all pictures of the store, N×k; None: not shown.
    """
    note = f"{len(of):,} {what}" if len(rows) == len(of) else f"{len(rows):,}, drawn at random, of {len(of):,} {what}"
    taken = table.iloc[rows]
    cells: Sequence[int] = [shown.cells[row] for row in rows.tolist()] if shown.cells else []
    earlier = np.empty((0, 1)) if before is None else before[rows]
    return Predictions(
        note=note,
        picture=taken["picture"].tolist(),
        expression=[EXPRESSIONS.index(name) for name in taken["expression"]],
        confidence=taken["confidence"].round(4).tolist(),
        label=labels[rows].tolist(),
        before=earlier.argmax(axis=1).tolist(),
        share=earlier.max(axis=1).round(4).tolist(),
        sheet=shown.sheet,
        cell=cells,
    )
