"""Predictions and embeddings before and after an adaptation, for the evaluation. They contain no labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pipeline.data.prepared import Indices
from pipeline.errors import DatasetError
from pipeline.files.atomic import atomic_path
from pipeline.files.io import damage_reported

EMBEDDED = 1000
"""Maximum number of pictures per domain whose embeddings are kept."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class RowSample:
    """A random sample of a domain's rows.

    Attributes:
        rows: the rows, ascending, int64.
        ranks: position of each row in the order of drawing, int64.
    """

    rows: Indices
    ranks: Indices

    @classmethod
    def draw(cls, rows: Indices, seed: int) -> Self:
        """Draw at most ``EMBEDDED`` of ``rows`` without replacement."""
        drawn = np.random.Generator(np.random.PCG64(seed)).permutation(rows)[:EMBEDDED]
        order = np.argsort(drawn)
        return cls(drawn[order], order)

    def first(self, count: int) -> NDArray[np.bool_]:
        """Return which of ``rows`` are among the first ``count`` drawn."""
        return self.ranks < count


@dataclass(frozen=True)
class Predictions:
    """Predictions of one model, float32.

    Attributes:
        probabilities: probabilities of all target crops, N×k.
        source_probabilities: probabilities of the source sample, n×k.
        source: embeddings of the source sample, n×d.
        target: embeddings of the target sample, n×d.
    """

    probabilities: Floats
    source_probabilities: Floats
    source: Floats
    target: Floats


@dataclass(frozen=True)
class Outcome:
    """The predictions of the source model and the adapted model.

    Attributes:
        source: the source sample.
        target: the target sample.
        before: predictions of the source model (DT).
        after: predictions of the adapted model.
    """

    source: RowSample
    target: RowSample
    before: Predictions
    after: Predictions

    def write(self, path: Path) -> None:
        """Write a .npz file atomically; the same outcome gives the same bytes.

        Raises:
            StorageError: it cannot be written.
        """
        arrays = {
            f"{name}_{key}": value
            for name in ("source", "target", "before", "after")
            for key, value in vars(getattr(self, name)).items()
        }
        with atomic_path(path) as temporary:
            np.savez(temporary, **arrays)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file that ``write`` has written.

        Raises:
            DatasetError: the file is missing.
            DamagedFileError: it is damaged.
        """
        if not path.is_file():
            raise DatasetError(f"{path}: missing; run the adapt stage of this target ({path.stem}): dvc repro")
        with damage_reported(path), np.load(path) as arrays:
            source, target = (
                RowSample(arrays[f"{name}_rows"], arrays[f"{name}_ranks"]) for name in ("source", "target")
            )
            before, after = (
                Predictions(**{key: arrays[f"{name}_{key}"] for key in Predictions.__dataclass_fields__})
                for name in ("before", "after")
            )
        return cls(source, target, before, after)
