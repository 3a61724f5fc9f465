"""The packed crop store of one data set.

A store is a folder. Training reads these files:

``crops.npy``         uint8, N×112×112×3, RGB; opened as a memory map, so its size does not matter
``samples.parquet``   N rows, in the order of the array: what the set says about each picture (``SAMPLE_COLUMNS``)
``store.json``        data set, provenance (real or stand-in), number of crops, digest of the two files above, and the
                      parameters with which faces were found and cropped

These files describe how the crops were made, and training does not depend on them:

``manifest.parquet``  N rows: the samples with the face that was cropped (``MANIFEST_COLUMNS``)
``faces.json``        counts by method of detection, unreadable files with the reasons
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DatasetError
from pipeline.files.io import damage_reported, read_array, read_json, read_parquet

if TYPE_CHECKING:
    import pandas as pd

CROP_SIZE = 112
"""Side of a crop in pixels (paper, sec. 4.2)."""

MANIFEST_COLUMNS = {
    "key": "string",  # source file relative to the set's root; a CSV row is "fer2013.csv:17"
    "label": "Int8",  # index into EXPRESSIONS; missing if the set gives none
    "subject": "string",
    "sequence": "string",
    "frame": "Int32",
    "split": "string",  # as distributed: train, val or test; missing if the set is not divided
    "method": "string",  # mtcnn, haar, whole (no face found) or given (aligned by the set's authors)
    "faces": "Int16",  # faces found in the picture; a search for large faces first may miss smaller ones
    "score": "Float32",  # O-Net's score of the chosen face; only for mtcnn
    "box": "object",  # x1, y1, x2, y2 in pixels of the source picture
    "landmarks": "object",  # x and y of left eye, right eye, nose, left and right mouth corner, in pixels; or missing
    "turned": "Int16",  # clockwise rotation of the picture, in degrees, that makes the face upright
    "sharpness": "Float32",  # variance of the crop's Laplacian (grey levels squared); low if it is blurred
}

SAMPLE_COLUMNS = ("key", "label", "subject", "sequence", "frame", "split")

DIGESTED = ("crops.npy", "samples.parquet")
TRAINED_ON = (*DIGESTED, "store.json")
FILES = (*TRAINED_ON, "manifest.parquet", "faces.json")


@dataclass(frozen=True)
class CropStore:
    """An opened store.

    Attributes:
        folder: the store's folder.
        images: uint8 N×112×112×3, RGB; a memory map.
        description: content of store.json.
    """

    folder: Path
    images: NDArray[np.uint8]
    description: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a store for reading.

        Raises:
            DatasetError: a file is missing, array and table differ in length, or an earlier version of this project
                wrote the store.
            DamagedFileError: a file is damaged.
        """
        _require(folder, TRAINED_ON)
        store = cls(folder, read_array(folder / "crops.npy"), read_json(folder / "store.json"))
        if len(store.images) != len(store.samples):
            raise DatasetError(
                f"{folder}: {len(store.images)} crops but {len(store.samples)} rows; run its faces stage again"
            )
        if "faces" not in store.description:
            raise DatasetError(f"{folder}: written by an earlier version of this project; run its faces stage again")
        return store

    def require_intact(self) -> Self:
        """Check the data that training reads against the digest in store.json.

        Returns:
            The store itself.

        Raises:
            DamagedFileError: the data have changed.
        """
        with damage_reported(self.folder):
            if digest(self.folder / name for name in DIGESTED) != self.description["digest"]:
                raise ValueError(f"the digest of {' and '.join(DIGESTED)} is not the one in store.json")
        return self

    @cached_property
    def samples(self) -> pd.DataFrame:
        """The table of samples: N rows, ``SAMPLE_COLUMNS``."""
        return read_parquet(self.folder / "samples.parquet")

    @cached_property
    def manifest(self) -> pd.DataFrame:
        """The samples with their faces: N rows, ``MANIFEST_COLUMNS``. For reports only; training does not read it."""
        return read_parquet(self.folder / "manifest.parquet")

    def labels(self) -> NDArray[np.int64]:
        """Return the label of each crop, N int64; −1 if the set gives none."""
        return self.samples["label"].fillna(-1).to_numpy(dtype=np.int64)


def read_description(folder: Path) -> dict[str, Any]:
    """Return the content of store.json and faces.json in ``folder``, merged.

    Raises:
        DatasetError: a file is missing.
        DamagedFileError: a file is damaged.
    """
    _require(folder, FILES)
    description: dict[str, Any] = read_json(folder / "store.json") | read_json(folder / "faces.json")
    return description


def _require(folder: Path, names: Sequence[str]) -> None:
    """Raise an error unless these files of a store exist."""
    for name in names:
        if not (folder / name).is_file():
            raise DatasetError(
                f"{folder / name}: missing; run the faces stage of this data set (dvc repro), "
                "or pocan faces for other pictures"
            )


def digest(files: Iterable[Path]) -> str:
    """Return the SHA-256 of the concatenated contents of files."""
    found = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                found.update(block)
    return found.hexdigest()
