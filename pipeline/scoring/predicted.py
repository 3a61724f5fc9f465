"""What one model, or somebody's file, predicts for each of the pictures."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["model", "predictions"]


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predictions of N pictures.

    Attributes:
        name: what predicts, as the user calls it.
        kind: a model, or predictions from a file.
        drawn: whether it has learned from drawn faces.
        known: which pictures it predicts, N bool; of the others the rows below mean nothing.
        classes: N int64.
        probabilities: N×7 float; None where only classes are known.
        notes: what must be said of them.
    """

    name: str
    kind: Kind
    drawn: bool
    known: NDArray[np.bool_]
    classes: NDArray[np.int64]
    probabilities: NDArray[np.float64] | None
    notes: tuple[str, ...] = ()

    def at(self, rows: NDArray[np.int64]) -> "Predicted":
        """The predictions of some pictures."""
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
