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

import hashlib
import itertools
import json
import os
import shutil
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.errors import DatasetError
from pipeline.files import atomic_path, intact, not_written, read_array, read_json, read_parquet, write_json

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
    "sharpness": "Float32",  # variance of the crop's Laplacian (grey levels squared); low where it is blurred
}

SAMPLE_COLUMNS = ("key", "label", "subject", "sequence", "frame", "split")

TRAINED_ON = ("crops.npy", "samples.parquet", "store.json")
FILES = (*TRAINED_ON, "manifest.parquet", "faces.json")

_ARROW_SCHEMA = pa.schema(
    [
        pa.field(name, pa.list_(pa.float64()) if kind == "object" else getattr(pa, kind.lower())())
        for name, kind in MANIFEST_COLUMNS.items()
    ]
)

CROP_BYTES = CROP_SIZE * CROP_SIZE * 3

HEADER_BYTES = 128
"""Size of an .npy header for any number of crops: numpy leaves room for the shape to change."""

JOURNAL = "journal.jsonl"

BATCHES_A_GROUP = 64
"""Batches of which the manifest rows are in memory together."""


@dataclass(frozen=True)
class CropBatch:
    """What becomes of a batch of pictures.

    crops: uint8 n×112×112×3 RGB. rows: their manifest rows (keys of ``MANIFEST_COLUMNS``; absent: missing).
    unreadable: the reason by key for pictures without a crop.
    """

    crops: NDArray[np.uint8]
    rows: list[dict[str, Any]]
    unreadable: dict[str, str] = field(default_factory=dict)


class CropWriter:
    """Writes a store batch by batch in constant memory, and goes on where an earlier writer was interrupted.

    What is done so far lies in a folder of its own: the crops, and a journal with one line a batch, which is written
    after the batch's crops and holds their checksum. Whatever is killed in between, the lines that can be read and
    whose crops are intact tell what is done. ``finish`` turns the folder into the store, all at once.
    """

    def __init__(self, partial: Path) -> None:
        """``partial``: the folder of the work in progress, on the file system of the store to come."""
        self._partial = partial
        self._crops, self._journal = partial / "crops.npy", partial / JOURNAL
        self._count = 0

    def resume(self, inputs: Sequence[str]) -> Iterator[CropBatch]:
        """The batches that are done, in order: the first ones of ``inputs``, which names what each is made from.

        Must be exhausted before ``append``; what cannot be used is cut off.
        """
        self._partial.mkdir(parents=True, exist_ok=True)
        for path in self._partial.iterdir():
            if path not in (self._crops, self._journal):  # what a kill during ``finish`` has left
                path.unlink()
        for path in (self._crops, self._journal):
            path.touch()
        self._count, end = 0, 0
        with self._journal.open("rb") as journal, self._crops.open("rb") as crops:
            for name, line in zip(inputs, journal, strict=False):
                batch = _read_entry(line, name, crops, self._count)
                if batch is None:
                    break
                self._count += len(batch.rows)
                end += len(line)
                yield batch
        os.truncate(self._journal, end)
        os.truncate(self._crops, _place(self._count))

    def append(self, name: str, batch: CropBatch) -> None:
        """Add a batch; ``name`` is its entry in the ``inputs`` of ``resume``.

        Raises:
            ValueError: crops have another shape or type, or a row has an unknown column.
            StorageError: the disk is full or fails; what was appended before stays.
        """
        shape = (len(batch.rows), CROP_SIZE, CROP_SIZE, 3)
        if batch.crops.shape != shape or batch.crops.dtype != np.uint8:
            raise ValueError(f"{len(batch.rows)} crops are uint8 {shape}, not {batch.crops.dtype} {batch.crops.shape}")
        if unknown := {key for row in batch.rows for key in row} - set(MANIFEST_COLUMNS):
            raise ValueError(f"unknown manifest columns: {sorted(unknown)}")
        pixels = batch.crops.tobytes()
        entry = {"from": name, "crc32": zlib.crc32(pixels), "rows": batch.rows, "unreadable": batch.unreadable}
        with _storing(self._partial):
            with self._crops.open("r+b") as crops:
                crops.seek(_place(self._count))
                crops.write(pixels)
            with self._journal.open("a", encoding="utf-8") as journal:
                journal.write(json.dumps(entry, ensure_ascii=False) + "\n")
        self._count += len(batch.rows)

    def finish(
        self,
        folder: Path,
        dataset: str,
        provenance: str,
        faces: Mapping[str, Any],
        passed_over: Mapping[str, int] | None = None,
    ) -> None:
        """Make what was appended the store at ``folder``; a store that was there is replaced.

        faces: JSON values, the parameters of detection and cropping, which a model that is trained on them hands on.
        passed_over: files that were no pictures, by ending.

        Raises:
            StorageError: the disk is full or fails; what was appended stays.
        """
        with _storing(self._partial):
            description = {"dataset": dataset, "provenance": provenance, "crops": self._count, "faces": dict(faces)}
            self._write_tables(passed_over or {})
            with self._crops.open("r+b") as crops:
                _write_header(crops, self._count)
                os.fsync(crops.fileno())
            write_json(self._partial / "store.json", description | {"digest": digest(self._partial)})
            if folder.exists():
                shutil.rmtree(folder)
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._partial.rename(folder)
            (folder / JOURNAL).unlink()

    def _write_tables(self, passed_over: Mapping[str, int]) -> None:
        """Write the journal's rows as samples and manifest, and what it says of detection and of unreadable files."""
        methods: Counter[str] = Counter()
        unreadable: dict[str, str] = {}
        with (
            atomic_path(self._partial / "manifest.parquet") as of_faces,
            atomic_path(self._partial / "samples.parquet") as of_samples,
            self._journal.open(encoding="utf-8") as lines,
            pq.ParquetWriter(of_faces, _arrow([]).schema) as manifest,
            pq.ParquetWriter(of_samples, _arrow([]).select(SAMPLE_COLUMNS).schema) as samples,
        ):
            entries = (json.loads(line) for line in lines)
            while group := list(itertools.islice(entries, BATCHES_A_GROUP)):
                rows = [row for entry in group for row in entry["rows"]]
                table = _arrow(rows)
                manifest.write_table(table)
                samples.write_table(table.select(SAMPLE_COLUMNS))
                methods.update(row["method"] for row in rows if "method" in row)
                unreadable |= {key: reason for entry in group for key, reason in entry["unreadable"].items()}
        told: dict[str, Any] = {"methods": dict(sorted(methods.items())), "unreadable": unreadable}
        write_json(self._partial / "faces.json", told | ({"passed_over": dict(passed_over)} if passed_over else {}))


@contextmanager
def _storing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise not_written(folder, error) from error


def _read_entry(line: bytes, name: str, crops: BinaryIO, first: int) -> CropBatch | None:
    """A journal line with its crops, the first of which is the ``first`` of the file; None where either is damaged."""
    try:
        entry = json.loads(line)
    except ValueError:  # cut short when the writer was killed
        return None
    if not line.endswith(b"\n") or not isinstance(entry, dict) or entry.get("from") != name:
        return None
    crops.seek(_place(first))
    pixels = crops.read(len(entry["rows"]) * CROP_BYTES)
    if zlib.crc32(pixels) != entry["crc32"]:
        return None
    array = np.frombuffer(pixels, dtype=np.uint8).reshape(-1, CROP_SIZE, CROP_SIZE, 3)
    return CropBatch(array, entry["rows"], entry["unreadable"])


def _arrow(rows: list[dict[str, Any]]) -> pa.Table:
    """Manifest rows with the types that pandas reads back as those of ``MANIFEST_COLUMNS``."""
    table = pd.DataFrame(rows, columns=list(MANIFEST_COLUMNS)).astype(MANIFEST_COLUMNS)
    return pa.Table.from_pandas(table, schema=_ARROW_SCHEMA, preserve_index=False)


def _place(index: int) -> int:
    """Where the crop of this index begins in an .npy file."""
    return HEADER_BYTES + index * CROP_BYTES


def _write_header(file: BinaryIO, count: int) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, CROP_SIZE, CROP_SIZE, 3)}
    file.seek(0)
    np.lib.format.write_array_header_1_0(file, header)
    if file.tell() != HEADER_BYTES:
        raise RuntimeError(f"the .npy header takes {file.tell()} bytes, not {HEADER_BYTES}")
    file.flush()


@dataclass(frozen=True)
class CropStore:
    """An opened store: ``images`` uint8 N×112×112×3 (memory map), ``description`` store.json."""

    folder: Path
    images: NDArray[np.uint8]
    description: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a store for reading.

        Raises:
            DatasetError: a file is missing, array and table do not have the same length, or an earlier version of this
                project wrote the store. DamagedFileError: a file is damaged.
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
        """The store, after a look at every byte that training reads.

        Raises:
            DamagedFileError: they are not those that were written.
        """
        with intact(self.folder):
            if digest(self.folder) != self.description["digest"]:
                raise ValueError("the digest of crops.npy and samples.parquet is not the one in store.json")
        return self

    @cached_property
    def samples(self) -> pd.DataFrame:
        """N rows, ``SAMPLE_COLUMNS``."""
        return read_parquet(self.folder / "samples.parquet")

    @cached_property
    def manifest(self) -> pd.DataFrame:
        """N rows, ``MANIFEST_COLUMNS``: for reports; nothing that trains reads it."""
        return read_parquet(self.folder / "manifest.parquet")

    def labels(self) -> NDArray[np.int64]:
        """The label of each crop, N int64; −1 where the set has none."""
        return self.samples["label"].fillna(-1).to_numpy(dtype=np.int64)


def read_description(folder: Path) -> dict[str, Any]:
    """store.json and faces.json of the store at ``folder``, as one.

    Raises:
        DatasetError: a file is missing. DamagedFileError: a file is damaged.
    """
    _require(folder, FILES)
    description: dict[str, Any] = read_json(folder / "store.json") | read_json(folder / "faces.json")
    return description


def _require(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        if not (folder / name).is_file():
            raise DatasetError(f"{folder / name}: missing; run the faces stage of this data set (dvc repro)")


def digest(folder: Path) -> str:
    """The SHA-256 of what training reads of the store at ``folder``, but for its description."""
    digest = hashlib.sha256()
    for name in ("crops.npy", "samples.parquet"):
        with (folder / name).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
