"""The pictures that the page names and shows: under the pointer, and in the table of predictions."""

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
"""Of a copy, in pixels."""
COLUMNS = 40
QUALITY = 80


@dataclass(frozen=True)
class SetPictures:
    """What is shown of a set's pictures.

    Attributes:
        title: the set's name as people write it.
        sheet: the name of the sheet with small copies.
        keys: the pictures' files, by row; None where the crops are not at hand.
        cells: the place of a row's copy on the sheet; empty where copies were not asked for.
    """

    title: str
    sheet: str
    keys: Sequence[str] | None
    cells: dict[int, int]

    def captions(self, rows: Sequence[int]) -> list[list[str | int]]:
        """For each row its file and the cell of its copy, -1 without one."""
        names = [f"picture {row}" if self.keys is None else self.keys[row] for row in rows]
        return [[name, self.cells.get(row, -1)] for name, row in zip(names, rows, strict=True)]


def set_pictures(title: str, name: str, store: CropStore | None, rows: Sequence[int]) -> SetPictures:
    """What is shown of a set.

    Args:
        title: the set's name as people write it.
        name: of its sheet.
        store: its crops; None where they are not at hand.
        rows: those that get a copy; none where copies were not asked for.
    """
    cells = {row: cell for cell, row in enumerate(sorted(set(rows)))}
    return SetPictures(title, name, None if store is None else store.samples["key"].tolist(), cells)


def sheet(images: NDArray[np.uint8], cells: dict[int, int]) -> Sheet:
    """The copies of some of ``images`` (N×h×w×3), row by row; the same pictures give the same bytes."""
    lines = -(-len(cells) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * SIDE, lines * SIDE))
    for row, cell in cells.items():
        copy = Image.fromarray(np.array(images[row])).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        page.paste(copy, (cell % COLUMNS * SIDE, cell // COLUMNS * SIDE))
    file = io.BytesIO()
    page.save(file, "JPEG", quality=QUALITY)
    return Sheet(f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}", SIDE, COLUMNS)


MAX_PREDICTIONS = 2000
"""Pictures of a target on the page; of more so many are drawn at random."""


def sample_rows(rows: Indices) -> Indices:
    """At most ``MAX_PREDICTIONS`` of ``rows``, ascending; the same rows every time."""
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
    """The table of predictions of some pictures.

    Args:
        table: a row a picture of the store, as ``evaluation.scorecard.predictions_table`` makes it.
        labels: N int64, of each picture of the store, -1 for none.
        rows: the rows that are shown, by ``sample_rows``.
        of: the rows that these were chosen from.
        what: what the pictures are: "test pictures".
        shown: what the page shows of the set's pictures.
        before: the source model's calibrated probabilities of each picture of the store, N×k; None: not shown.
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
