"""What an adaptation leaves for the evaluation: predictions and embeddings before and after it. It knows no labels."""

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
"""Pictures of each domain whose embeddings are kept, however many there are."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class RowSample:
    """Some of a domain's rows.

    Attributes:
        rows: int64, ascending.
        ranks: of each row its place in the order in which they were drawn; int64.
    """

    rows: Indices
    ranks: Indices

    @classmethod
    def draw(cls, rows: Indices, seed: int) -> Self:
        """At most ``EMBEDDED`` of ``rows``, drawn without replacement."""
        drawn = np.random.Generator(np.random.PCG64(seed)).permutation(rows)[:EMBEDDED]
        order = np.argsort(drawn)
        return cls(drawn[order], order)

    def first(self, count: int) -> NDArray[np.bool_]:
        """Which of ``rows`` were among the ``count`` rows that were drawn first."""
        return self.ranks < count


@dataclass(frozen=True)
class Predictions:
    """What one model makes of the target's crops and of a sample of the source's; all float32.

    Attributes:
        probabilities: of all the target's crops, N×k.
        source_probabilities: of the source's sample, n×k.
        source: embeddings of the source's sample, n×d.
        target: embeddings of the target's sample, n×d.
    """

    probabilities: Floats
    source_probabilities: Floats
    source: Floats
    target: Floats


@dataclass(frozen=True)
class Outcome:
    """What the source model and the adapted model predict.

    Attributes:
        source: the source's pictures whose embeddings are kept.
        target: the target's.
        before: by the source model (DT).
        after: by the adapted model.
    """

    source: RowSample
    target: RowSample
    before: Predictions
    after: Predictions

    def write(self, path: Path) -> None:
        """Write as one .npz, atomically; the same outcome gives the same bytes.

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
        """Read what ``write`` wrote.

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
