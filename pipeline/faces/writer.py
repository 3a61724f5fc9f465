"""Turning the work in progress on crops into a store."""

import itertools
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data.crops import CROP_SIZE, DIGESTED, MANIFEST_COLUMNS, SAMPLE_COLUMNS, digest
from pipeline.faces.journal import HEADER_BYTES, JOURNAL, Entry, Journal
from pipeline.files.atomic import atomic_path, move_folder, remove_folder, storage_errors
from pipeline.files.io import write_json

BATCHES_A_GROUP = 64
"""Batches of which the manifest rows are in memory together."""

_ARROW_SCHEMA = pa.schema(
    [
        pa.field(name, pa.list_(pa.float64()) if kind == "object" else getattr(pa, kind.lower())())
        for name, kind in MANIFEST_COLUMNS.items()
    ]
)


class CropWriter(Journal):
    """Work in progress that becomes a store, all at once and in the order of its inputs."""

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
        with storage_errors(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
        with storage_errors(self._partial):
            self._write_tables(self._put_in_order(), passed_over or {})
            with self._crops.open("r+b") as crops:
                _write_header(crops, self._count)
                os.fsync(crops.fileno())
            description = {"dataset": dataset, "provenance": provenance, "crops": self._count, "faces": dict(faces)}
            description["digest"] = digest(self._partial / name for name in DIGESTED)
            write_json(self._partial / "store.json", description)
        with storage_errors(folder):
            if folder.exists():
                remove_folder(folder)
            move_folder(self._partial, folder)
            (folder / JOURNAL).unlink()

    def _write_tables(self, entries: Sequence[Entry], passed_over: Mapping[str, int]) -> None:
        """Write the journal's rows as samples and manifest, and what it says of detection and of unreadable files."""
        methods: Counter[str] = Counter()
        unreadable: dict[str, str] = {}
        with (
            atomic_path(self._partial / "manifest.parquet") as of_faces,
            atomic_path(self._partial / "samples.parquet") as of_samples,
            pq.ParquetWriter(of_faces, _arrow([]).schema) as manifest,
            pq.ParquetWriter(of_samples, _arrow([]).select(SAMPLE_COLUMNS).schema) as samples,
        ):
            lines = self._said(entries)
            while group := list(itertools.islice(lines, BATCHES_A_GROUP)):
                rows = [row for line in group for row in line["rows"]]
                table = _arrow(rows)
                manifest.write_table(table)
                samples.write_table(table.select(SAMPLE_COLUMNS))
                methods.update(row["method"] for row in rows if "method" in row)
                unreadable |= {key: reason for line in group for key, reason in line["unreadable"].items()}
        told: dict[str, Any] = {"methods": dict(sorted(methods.items())), "unreadable": unreadable}
        write_json(self._partial / "faces.json", told | ({"passed_over": dict(passed_over)} if passed_over else {}))


def _arrow(rows: list[dict[str, Any]]) -> pa.Table:
    """Manifest rows with the types that pandas reads back as those of ``MANIFEST_COLUMNS``."""
    table = pd.DataFrame(rows, columns=list(MANIFEST_COLUMNS)).astype(MANIFEST_COLUMNS)
    return pa.Table.from_pandas(table, schema=_ARROW_SCHEMA, preserve_index=False)


def _write_header(file: BinaryIO, count: int) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, CROP_SIZE, CROP_SIZE, 3)}
    file.seek(0)
    np.lib.format.write_array_header_1_0(file, header)
    if file.tell() != HEADER_BYTES:
        raise RuntimeError(f"the .npy header takes {file.tell()} bytes, not {HEADER_BYTES}")
    file.flush()
