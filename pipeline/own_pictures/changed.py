"""The pictures whose expression an adaptation has changed: listed in the report, and marked on the page."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.data.prepared import PreparedData
from pipeline.labels import EXPRESSIONS
from pipeline.reporting.markdown import code, markdown_table

LISTED = 50
"""Pictures in the report, at most; predictions.csv and the page have the others."""


@dataclass(frozen=True)
class Change:
    """A picture that is predicted otherwise than before.

    Attributes:
        picture: its file.
        before: the class that the source model predicts.
        share: its calibrated probability then, from 0 to 1.
        after: the class that the kept model predicts.
        confidence: its calibrated probability.
    """

    picture: str
    before: int
    share: float
    after: int
    confidence: float


def changes(target: PreparedData, before: NDArray[np.float64], after: NDArray[np.float64]) -> list[Change]:
    """The changed ones of the pictures with a face, the most certain first.

    Args:
        target: the user's pictures.
        before: calibrated probabilities of the source model for each picture of the store, N×k.
        after: those of the kept model, N×k.
    """
    rows = target.split.test
    rows = rows[before[rows].argmax(axis=1) != after[rows].argmax(axis=1)]
    rows = rows[np.argsort(-after[rows].max(axis=1), kind="stable")]
    keys = target.store.samples["key"].to_numpy()
    return [
        Change(
            str(keys[row]),
            int(before[row].argmax()),
            float(before[row].max()),
            int(after[row].argmax()),
            float(after[row].max()),
        )
        for row in rows
    ]


def section(found: Sequence[Change], unit: str, mark: str) -> str:
    """The section of the report; empty where nothing has changed.

    Args:
        found: as ``changes`` has them.
        unit: what the pictures are: "picture" or "frame".
        mark: stands after every number where pictures are drawn, else "".
    """
    if not found:
        return ""
    shown = f"The {LISTED} most certain of {len(found):,}{mark}" if len(found) > LISTED else f"{len(found):,}{mark}"
    rows = [
        [code(one.picture), _said(one.before, one.share, mark), _said(one.after, one.confidence, mark)] for one in found
    ]
    return "\n\n".join(
        [
            "## Changed expressions",
            f"{shown} {unit}s that the kept model predicts otherwise than the source model, the most certain first. "
            "The page shows their faces: choose *changed* under [Predictions](index.html#predictions-title).",
            markdown_table([unit, "before", "after"], rows[:LISTED]),
        ]
    )


def _said(label: int, share: float, mark: str) -> str:
    return f"{EXPRESSIONS[label]} {100 * share:.0f} %{mark}"
