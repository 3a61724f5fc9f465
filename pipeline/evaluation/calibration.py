"""How far confidence can be believed: the expected calibration error (Guo et al., ICML 2017).

The labels of a target only measure it; no temperature is fitted on them.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

BINS = 15
"""Of the expected calibration error, as published: of equal width."""


def bins(p: Floats, labels: NDArray[np.int64]) -> pd.DataFrame:
    """By confidence, a row a bin that has pictures: its ``count``, mean ``confidence`` and ``accuracy``.

    Args:
        p: class probabilities, N×k float.
        labels: N int64.
    """
    confidence, right = p.max(axis=1), p.argmax(axis=1) == labels
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    pictures = pd.DataFrame({"bin": place, "confidence": confidence.astype(np.float64), "accuracy": right})
    groups = pictures.groupby("bin")
    table = groups.mean()
    table.insert(0, "count", groups.size())
    return table.reset_index(drop=True)


def expected_error(p: Floats, labels: NDArray[np.int64]) -> float:
    """The expected calibration error: mean over pictures of |accuracy − confidence| of their bin, in [0, 1].

    Args:
        p: class probabilities, N×k float.
        labels: N int64.
    """
    table = bins(p, labels)
    return float((table["count"] * (table["accuracy"] - table["confidence"]).abs()).sum() / table["count"].sum())
