"""The predictions of a target's pictures, for the page's table."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.data.prepared import Indices
from pipeline.labels import EXPRESSIONS
from pipeline.reporting.page.content import Predictions
from pipeline.reporting.page.pictures import Shown

MOST = 2000
"""Pictures of a target on the page; of more so many are drawn at random."""


def chosen(rows: Indices) -> Indices:
    """At most ``MOST`` of ``rows``, ascending; the same rows every time."""
    return np.sort(np.random.Generator(np.random.PCG64(0)).permutation(rows)[:MOST])


def predictions(
    table: pd.DataFrame, labels: NDArray[np.int64], rows: Indices, of: Indices, what: str, shown: Shown
) -> Predictions:
    """The rows that are ``chosen`` of the rows ``of``.

    Args:
        table: a row a picture of the store, as ``evaluation.scorecard.predictions_table`` makes it.
        labels: of each picture of the store, -1 for none. what: what the pictures are: "test pictures".
    """
    note = f"{len(of):,} {what}" if len(rows) == len(of) else f"{len(rows):,}, drawn at random, of {len(of):,} {what}"
    taken = table.iloc[rows]
    cells: Sequence[int] = [shown.cells[row] for row in rows.tolist()] if shown.cells else []
    return Predictions(
        note=note,
        picture=taken["picture"].tolist(),
        expression=[EXPRESSIONS.index(name) for name in taken["expression"]],
        confidence=taken["confidence"].round(4).tolist(),
        label=labels[rows].tolist(),
        sheet=shown.sheet,
        cell=cells,
    )
