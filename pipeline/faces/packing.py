"""Writing a crop store's files in one pass, as crops and rows come, in constant memory."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data.crops import CROP_SIZE, DIGESTED, MANIFEST_COLUMNS, SAMPLE_COLUMNS, digest
from pipeline.files.atomic import atomic_path
from pipeline.files.io import write_json

ROWS_A_GROUP = 2048
"""Rows per row group of the tables, so that their files do not depend on how many rows come at once."""

_ARROW_SCHEMA = pa.schema(
    [
        pa.field(name, pa.list_(pa.float64()) if kind == "object" else getattr(pa, kind.lower())())
        for name, kind in MANIFEST_COLUMNS.items()
    ]
)


class Packer:
    """Writes crops and rows, each in the order of the store; created by ``packing``.

    Attributes:
        methods: number of rows by method of detection.
    """

    def __init__(self, crops: BinaryIO, manifest: pq.ParquetWriter, samples: pq.ParquetWriter) -> None:
        self.methods: Counter[str] = Counter()
        self._crops, self._manifest, self._samples = crops, manifest, samples
        self._waiting = arrow_rows([])

    def add_crops(self, crops: bytes | memoryview) -> None:
        """Write the bytes of crops, uint8 n×112×112×3 RGB."""
        self._crops.write(crops)

    def add_rows(self, rows: pa.Table) -> None:
        """Write rows made by ``arrow_rows``."""
        self.methods.update(name for name in rows["method"].to_pylist() if name is not None)
        self._waiting = pa.concat_tables([self._waiting, rows])
        while len(self._waiting) >= ROWS_A_GROUP:
            self._write(self._waiting.slice(0, ROWS_A_GROUP))
            self._waiting = self._waiting.slice(ROWS_A_GROUP)

    def finish(self) -> None:
        """Write the last rows, which do not fill a group."""
        if len(self._waiting):
            self._write(self._waiting)

    def _write(self, rows: pa.Table) -> None:
        group = rows.combine_chunks()
        self._manifest.write_table(group)
        self._samples.write_table(group.select(SAMPLE_COLUMNS))


@contextmanager
def packing(folder: Path, crops: int) -> Iterator[Packer]:
    """Write crops.npy, manifest.parquet and samples.parquet within the context.

    Args:
        folder: folder of the store.
        crops: total number of crops.
    """
    with (
        atomic_path(folder / "crops.npy") as of_crops,
        atomic_path(folder / "manifest.parquet") as of_faces,
        atomic_path(folder / "samples.parquet") as of_samples,
        of_crops.open("wb") as array,
        pq.ParquetWriter(of_faces, arrow_rows([]).schema) as manifest,
        pq.ParquetWriter(of_samples, arrow_rows([]).select(SAMPLE_COLUMNS).schema) as samples,
    ):
        shape = (crops, CROP_SIZE, CROP_SIZE, 3)
        np.lib.format.write_array_header_1_0(array, {"descr": "|u1", "fortran_order": False, "shape": shape})
        packer = Packer(array, manifest, samples)
        yield packer
        packer.finish()


def describe(folder: Path, store: Mapping[str, Any], faces: Mapping[str, Any]) -> None:
    """Write faces.json and then, as the last file, store.json with the digest of the training data.

    Args:
        folder: folder of the store, with the files of ``packing``.
        store: data set, provenance, number of crops and parameters.
        faces: counts by method of detection, unreadable files, files that are not pictures.
    """
    write_json(folder / "faces.json", dict(faces))
    write_json(folder / "store.json", {**store, "digest": digest(folder / name for name in DIGESTED)})


def arrow_rows(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Convert manifest rows to types that pandas reads as those of ``MANIFEST_COLUMNS``."""
    table = pd.DataFrame(rows, columns=list(MANIFEST_COLUMNS)).astype(MANIFEST_COLUMNS)
    return pa.Table.from_pandas(table, schema=_ARROW_SCHEMA, preserve_index=False)
