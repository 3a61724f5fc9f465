"""The prepared data of one set, made by the faces and split stages: crops, split and description.

PyTorch is imported only when tensors are needed, because computing scores does not need it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.config import paths
from pipeline.data.crops import CropStore
from pipeline.errors import DatasetError
from pipeline.files.atomic import atomic_path
from pipeline.files.io import read_parquet

if TYPE_CHECKING:
    from torch import Tensor


Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """The rows of a manifest divided into two parts. Only under protocol ``all`` a row can be in both.

    Attributes:
        train: rows to train on or adapt to; int64, ascending.
        test: rows to score; int64, ascending.
    """

    train: Indices
    test: Indices


def write_split(path: Path, split: Split) -> None:
    """Write a split as parquet: columns ``row`` (int64) and ``part`` (train or test), sorted; no labels."""
    import pandas as pd

    table = pd.DataFrame(
        {
            "row": np.concatenate([split.train, split.test]),
            "part": ["train"] * len(split.train) + ["test"] * len(split.test),
        }
    ).astype({"row": "int64", "part": "string"})
    with atomic_path(path) as temporary:
        table.sort_values(["row", "part"], ignore_index=True).to_parquet(temporary, index=False)


def read_split(path: Path) -> Split:
    """Read a split that ``write_split`` wrote.

    Raises:
        DatasetError: the file is missing.
        DamagedFileError: it is damaged.
    """
    if not path.is_file():
        raise DatasetError(f"{path}: missing; run the split stage of this data set ({path.stem}): dvc repro")
    table = read_parquet(path, ["row", "part"])
    rows, parts = table["row"].to_numpy(dtype=np.int64), table["part"].to_numpy(dtype=object)
    return Split(rows[parts == "train"], rows[parts == "test"])


@dataclass(frozen=True)
class PreparedData:
    """A data set ready for training.

    Attributes:
        name: the set's name.
        store: the set's crops.
        split: the training and test rows.
    """

    name: str
    store: CropStore
    split: Split

    @classmethod
    def open(cls, name: str) -> Self:
        """Open the prepared data of ``name``.

        Raises:
            DatasetError: a file is missing; the message names the stage that makes it.
            DamagedFileError: a file is damaged.
        """
        return cls(name, CropStore.open(paths.crops(name)).require_intact(), read_split(paths.split(name)))

    @property
    def train_rows(self) -> Tensor:
        """Rows to train on or adapt to, int64."""
        import torch

        return torch.from_numpy(self.split.train)

    @property
    def test_rows(self) -> Tensor:
        """Rows to score, int64."""
        import torch

        return torch.from_numpy(self.split.test)

    def source_labels(self) -> Tensor:
        """Return the label of each crop, int64, for a set that is the source.

        Raises:
            DatasetError: a training row has no label.
        """
        import torch

        labels = torch.from_numpy(self.store.labels())
        if bool((labels[self.train_rows] < 0).any()):
            raise DatasetError(
                f"{self.name}: the source must be labelled, but some of its training pictures have no label; "
                f"sort them into class folders, or remove them from the training part (split.{self.name})"
            )
        return labels

    def description(self) -> dict[str, Any]:
        """Return what a model's JSON records about its data: name, provenance, face parameters, digests and counts."""
        stored = self.store.description
        return {
            "name": self.name,
            "provenance": stored["provenance"],
            "digest": stored["digest"],
            "split": hashlib.sha256(self.split.train.tobytes() + b"|" + self.split.test.tobytes()).hexdigest(),
            "train": len(self.split.train),
            "test": len(self.split.test),
            "faces": stored["faces"],
        }
