"""The packed crop store of one data set: one array, one manifest, one description.

A store is a folder with

``crops.npy``         uint8, N×112×112×3, RGB; opened by memory map, so its size does not matter
``manifest.parquet``  N rows, in the order of the array (``MANIFEST_COLUMNS``)
``store.json``        data set, provenance (real or stand-in), counts, unreadable files, digest of the two files above
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import DatasetError
from pipeline.files import atomic_path, read_json, write_json

CROP_SIZE = 112
"""Side of a crop in pixels (paper, sec. 4.2)."""

MANIFEST_COLUMNS = {
    "key": "string",  # source file relative to the set's root; a CSV row is "fer2013.csv:17"
    "label": "Int8",  # index into EXPRESSIONS, missing where the set has no label
    "subject": "string",
    "sequence": "string",
    "frame": "Int32",
    "split": "string",  # as distributed: train, val or test; missing where the set has none
    "method": "string",  # mtcnn, haar or whole
    "faces": "Int16",  # faces seen in the picture
    "score": "Float32",  # O-Net's score of the chosen face, missing for haar and whole
    "box": "object",  # x1, y1, x2, y2 in pixels of the source picture
    "landmarks": "object",  # x and y of left eye, right eye, nose, left and right mouth corner, in pixels; or missing
}


class CropWriter:
    """Writes a store crop by crop in constant memory; the files appear only when ``finish`` has been called.

    Use as a context manager; leaving it without ``finish`` removes what was written.
    """

    def __init__(self, folder: Path, capacity: int) -> None:
        """``capacity``: the most crops that will come; fewer are fine."""
        self._folder = folder
        self._rows: list[dict[str, Any]] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._partial = folder / ".crops.partial.npy"
        shape = (max(capacity, 1), CROP_SIZE, CROP_SIZE, 3)
        self._array: np.memmap[Any, np.dtype[np.uint8]] | None = np.lib.format.open_memmap(
            self._partial, mode="w+", dtype=np.uint8, shape=shape
        )

    def append(self, crop: NDArray[np.uint8], row: Mapping[str, Any]) -> None:
        """Add one crop (112×112×3 uint8 RGB) and its manifest row (keys of ``MANIFEST_COLUMNS``; absent: missing).

        Raises:
            ValueError: the crop has another shape or type, or the row an unknown column.
        """
        if crop.shape != (CROP_SIZE, CROP_SIZE, 3) or crop.dtype != np.uint8:
            raise ValueError(f"a crop is {CROP_SIZE}×{CROP_SIZE}×3 uint8, not {crop.shape} {crop.dtype}")
        if unknown := set(row) - set(MANIFEST_COLUMNS):
            raise ValueError(f"unknown manifest columns: {sorted(unknown)}")
        assert self._array is not None
        self._array[len(self._rows)] = crop
        self._rows.append(dict(row))

    def finish(self, dataset: str, provenance: str, unreadable: Mapping[str, str]) -> "CropStore":
        """Write manifest and description and put the array in place. ``unreadable``: reason by key."""
        assert self._array is not None
        self._array.flush()
        self._array = None
        _shorten_npy(self._partial, len(self._rows))
        self._partial.replace(self._folder / "crops.npy")
        manifest = pd.DataFrame(self._rows, columns=list(MANIFEST_COLUMNS)).astype(MANIFEST_COLUMNS)
        with atomic_path(self._folder / "manifest.parquet") as temporary:
            manifest.to_parquet(temporary, index=False)
        description = {
            "dataset": dataset,
            "provenance": provenance,
            "crops": len(self._rows),
            "methods": {str(k): int(v) for k, v in manifest["method"].value_counts().sort_index().items()},
            "unreadable": dict(unreadable),
            "digest": _digest(self._folder),
        }
        write_json(self._folder / "store.json", description)
        return CropStore.open(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._array = None
        self._partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class CropStore:
    """An opened store: ``images`` uint8 N×112×112×3 (memory map), ``manifest`` N rows, ``description`` store.json."""

    images: NDArray[np.uint8]
    manifest: pd.DataFrame
    description: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a store for reading.

        Raises:
            DatasetError: a file is missing, or array and manifest do not have the same length.
        """
        for name in ("crops.npy", "manifest.parquet", "store.json"):
            if not (folder / name).is_file():
                raise DatasetError(f"{folder / name}: missing; run the faces stage of this data set (dvc repro)")
        images = np.load(folder / "crops.npy", mmap_mode="r")
        manifest = pd.read_parquet(folder / "manifest.parquet")
        if len(images) != len(manifest):
            raise DatasetError(
                f"{folder}: {len(images)} crops but {len(manifest)} manifest rows; run its faces stage again"
            )
        return cls(images, manifest, read_json(folder / "store.json"))

    def labels(self) -> NDArray[np.int64]:
        """The label of each crop, N int64; −1 where the set has none."""
        return self.manifest["label"].fillna(-1).to_numpy(dtype=np.int64)


def _shorten_npy(path: Path, length: int) -> None:
    """Cut an .npy file to its first ``length`` rows in place: numpy pads the header so that the shape can change."""
    with path.open("r+b") as file:
        version = np.lib.format.read_magic(file)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        start = file.tell()
        file.seek(0)
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": fortran, "shape": (length, *shape[1:])}
        np.lib.format.write_array_header_1_0(file, header)
        if file.tell() != start or version != (1, 0):
            raise RuntimeError(f"{path}: the .npy header changed its size")
        file.truncate(start + length * int(np.prod(shape[1:])) * dtype.itemsize)


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in ("crops.npy", "manifest.parquet"):
        with (folder / name).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
