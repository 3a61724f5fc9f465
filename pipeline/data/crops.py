"""The packed crop store of one data set.

A store is a folder with what training reads

``crops.npy``         uint8, N×112×112×3, RGB; opened by memory map, so its size does not matter
``samples.parquet``   N rows, in the order of the array: what the set's layout says of each (``SAMPLE_COLUMNS``)
``store.json``        data set, provenance (real or stand-in), number of crops, digest of the two files above, and the
                      parameters that the faces were found and cropped with

and what tells how the crops came about, on which no training depends

``manifest.parquet``  N rows: the samples with the face that was cropped (``MANIFEST_COLUMNS``)
``faces.json``        counts by method of detection, unreadable files with their reasons
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
    "label": "Int8",  # index into EXPRESSIONS, missing where the set has no label
    "subject": "string",
    "sequence": "string",
    "frame": "Int32",
    "split": "string",  # as distributed: train, val or test; missing where the set has none
    "method": "string",  # mtcnn, haar, whole (no face found) or given (the set's authors have aligned it)
    "faces": "Int16",  # faces seen in the picture; a search that puts large faces first may pass over smaller ones
    "score": "Float32",  # O-Net's score of the chosen face; only for mtcnn
    "box": "object",  # x1, y1, x2, y2 in pixels of the source picture
    "landmarks": "object",  # x and y of left eye, right eye, nose, left and right mouth corner, in pixels; or missing
    "turned": "Int16",  # degrees, clockwise, by which the picture must be turned for the face to stand upright
    "sharpness": "Float32",  # variance of the crop's Laplacian (grey levels squared); low where it is blurred
}

SAMPLE_COLUMNS = ("key", "label", "subject", "sequence", "frame", "split")

DIGESTED = ("crops.npy", "samples.parquet")
TRAINED_ON = (*DIGESTED, "store.json")
FILES = (*TRAINED_ON, "manifest.parquet", "faces.json")


@dataclass(frozen=True)
class CropStore:
    """An opened store.

    Attributes:
        folder: where it lies.
        images: uint8 N×112×112×3, RGB; a memory map.
        description: store.json.
    """

    folder: Path
    images: NDArray[np.uint8]
    description: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a store for reading.

        Raises:
            DatasetError: a file is missing, array and table do not have the same length, or an earlier version of this
                project wrote the store.
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
        """The store itself, after every byte that training reads was checked against the digest in store.json.

        Raises:
            DamagedFileError: the bytes are not those that were written.
        """
        with damage_reported(self.folder):
            if digest(self.folder / name for name in DIGESTED) != self.description["digest"]:
                raise ValueError(f"the digest of {' and '.join(DIGESTED)} is not the one in store.json")
        return self

    @cached_property
    def samples(self) -> pd.DataFrame:
        """N rows, ``SAMPLE_COLUMNS``."""
        return read_parquet(self.folder / "samples.parquet")

    @cached_property
    def manifest(self) -> pd.DataFrame:
        """N rows, ``MANIFEST_COLUMNS``: for reports; no training reads it."""
        return read_parquet(self.folder / "manifest.parquet")

    def labels(self) -> NDArray[np.int64]:
        """The label of each crop, N int64; −1 where the set has none."""
        return self.samples["label"].fillna(-1).to_numpy(dtype=np.int64)


def read_description(folder: Path) -> dict[str, Any]:
    """Read store.json and faces.json of the store at ``folder``, as one.

    Raises:
        DatasetError: a file is missing.
        DamagedFileError: a file is damaged.
    """
    _require(folder, FILES)
    description: dict[str, Any] = read_json(folder / "store.json") | read_json(folder / "faces.json")
    return description


def _require(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        if not (folder / name).is_file():
            raise DatasetError(
                f"{folder / name}: missing; run the faces stage of this data set (dvc repro), "
                "or pocan faces for other pictures"
            )


def digest(files: Iterable[Path]) -> str:
    """The SHA-256 of the files' contents, one after the other."""
    found = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                found.update(block)
    return found.hexdigest()
