"""The division of a data set into the rows trained or adapted on and the rows tested on, as the split stage left it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import DatasetError
from pipeline.files.atomic import atomic_path
from pipeline.files.reading import read_parquet

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of a manifest, int64, ascending. A row is in both parts only under protocol ``all``."""

    train: Indices
    test: Indices


def write(path: Path, split: Split) -> None:
    """Write a split as parquet: columns ``row`` (int64) and ``part`` (train or test), sorted; no labels."""
    table = pd.DataFrame(
        {
            "row": np.concatenate([split.train, split.test]),
            "part": ["train"] * len(split.train) + ["test"] * len(split.test),
        }
    ).astype({"row": "int64", "part": "string"})
    with atomic_path(path) as temporary:
        table.sort_values(["row", "part"], ignore_index=True).to_parquet(temporary, index=False)


def read(path: Path) -> Split:
    """Read what ``write`` wrote.

    Raises:
        DatasetError: the file is missing. DamagedFileError: it is damaged.
    """
    if not path.is_file():
        raise DatasetError(f"{path}: missing; run the split stage of this data set ({path.stem}): dvc repro")
    table = read_parquet(path, ["row", "part"])
    rows, parts = table["row"].to_numpy(dtype=np.int64), table["part"].to_numpy(dtype=object)
    return Split(rows[parts == "train"], rows[parts == "test"])
