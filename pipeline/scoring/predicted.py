"""Predictions of one model, or from a file, for the pictures that are scored."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["model", "predictions"]


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predictions of N pictures.

    Attributes:
        name: the model or file, as the user named it.
        kind: a model, or predictions from a file.
        drawn: whether the model was trained on drawn faces.
        known: which pictures are predicted, N bool; other rows of the arrays below have no meaning.
        classes: N int64.
        probabilities: N×7 float; None if only classes are known.
        notes: remarks for the user.
    """

    name: str
    kind: Kind
    drawn: bool
    known: NDArray[np.bool_]
    classes: NDArray[np.int64]
    probabilities: NDArray[np.float64] | None
    notes: tuple[str, ...] = ()

    def at(self, rows: NDArray[np.int64]) -> "Predicted":
        """Return the predictions of ``rows``."""
        p = self.probabilities
        return Predicted(
            self.name,
            self.kind,
            self.drawn,
            self.known[rows],
            self.classes[rows],
            None if p is None else p[rows],
            self.notes,
        )
