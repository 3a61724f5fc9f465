"""The section of the report on pictures whose predicted expression the adaptation has changed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.data.prepared import PreparedData
from pipeline.labels import EXPRESSIONS
from pipeline.reporting.markdown import code, markdown_table

LISTED = 50
"""Maximum number of pictures in the report; predictions.csv and the page contain the others."""


@dataclass(frozen=True)
class Change:
    """A picture whose predicted class has changed.

    Attributes:
        picture: its file.
        before: the class predicted by the source model.
        share: calibrated probability of ``before`` by the source model, in [0, 1].
        after: the class predicted by the kept model.
        confidence: calibrated probability of ``after`` by the kept model, in [0, 1].
    """

    picture: str
    before: int
    share: float
    after: int
    confidence: float


def changes(target: PreparedData, before: NDArray[np.float64], after: NDArray[np.float64]) -> list[Change]:
    """Return the pictures with a face whose predicted class has changed, the most certain first.

    Args:
        target: the user's pictures.
        before: calibrated probabilities by the source model for every picture of the store, N×k.
        after: the same by the kept model, N×k.
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
    """Return the section of the report; empty if nothing has changed.

    Args:
        found: the result of ``changes``.
        unit: "picture" or "frame".
        mark: appended to every number if pictures are drawn, else "".
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
