"""From batches of crops to a crop store, in constant memory. An interruption loses no finished batch.

Work in progress is a folder with one part file per batch: a checksum, a line of JSON about the batch's pictures, and
their crops. A truncated or damaged part fails its checksum and is made again, so parts need no sync.
"""

import json
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.crops import CROP_SIZE, MANIFEST_COLUMNS, read_description
from pipeline.errors import StorageError
from pipeline.faces.packing import arrow_rows, describe, packing
from pipeline.files.atomic import move_folder, remove_folder, storage_errors
from pipeline.files.io import read_parquet

BATCHES_A_GROUP = 64
"""Number of batches whose rows are converted to a table at once."""

METHODS = ("mtcnn", "haar", "whole", "given")
"""What found a face, or replaced it, in the order of a summary."""

PACKED = "packed"
"""Folder, within the work in progress, in which the store is assembled."""


@dataclass(frozen=True)
class CropBatch:
    """The result of a batch of pictures.

    Attributes:
        crops: uint8 n×112×112×3 RGB.
        rows: manifest rows of the crops (keys of ``MANIFEST_COLUMNS``; missing ones may be absent).
        unreadable: for pictures without a crop the reason by key.
        refused: keys of unreadable pictures that the system failed to read, whatever their content; they are tried
            again.
    """

    crops: NDArray[np.uint8]
    rows: list[dict[str, Any]]
    unreadable: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


class CropWriter:
    """Keeps finished batches through interruptions, and makes a store of them in the order of their inputs.

    Batches may be appended in any order, and repeatedly; the last one of a name counts.
    """

    def __init__(self, partial: Path) -> None:
        """Create a writer; nothing is written yet.

        Args:
            partial: the folder of the work in progress, if possible on the file system of the store.
        """
        self._partial = partial
        self._inputs: Sequence[str] = ()
        self._counts: dict[str, int] = {}  # crops by the name of a finished batch

    def resume(self, inputs: Sequence[str]) -> Iterator[tuple[int, CropBatch]]:
        """Find the batches that an earlier writer finished, and remove useless parts. Exhaust it before ``append``.

        Args:
            inputs: names of all batches in order. Each is a file name and identifies what the batch is made from.

        Yields:
            The finished batches, each with its position in ``inputs``. A batch with pictures that the system failed to
            read is not finished.

        Raises:
            StorageError: the folder cannot be created, read or written.
        """
        self._inputs, self._counts = inputs, {}
        with storage_errors(self._partial):
            self._partial.mkdir(parents=True, exist_ok=True)
            wanted = set(inputs)
            for path in list(self._partial.iterdir()):
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.name not in wanted:
                    path.unlink()
        for place, name in enumerate(inputs):
            batch = _read(self._partial / name)
            if batch is not None and not batch.refused:
                self._counts[name] = len(batch.rows)
                yield place, batch

    def append(self, name: str, batch: CropBatch) -> None:
        """Keep a finished batch.

        Args:
            name: its entry in the ``inputs`` of ``resume``.
            batch: its crops, rows and unreadable pictures.

        Raises:
            ValueError: crops have another shape or type, or a row has an unknown column.
            StorageError: the disk is full or fails; batches appended before are kept.
        """
        shape = (len(batch.rows), CROP_SIZE, CROP_SIZE, 3)
        if batch.crops.shape != shape or batch.crops.dtype != np.uint8:
            raise ValueError(f"{len(batch.rows)} crops are uint8 {shape}, not {batch.crops.dtype} {batch.crops.shape}")
        if unknown := {key for row in batch.rows for key in row} - set(MANIFEST_COLUMNS):
            raise ValueError(f"unknown manifest columns: {sorted(unknown)}")
        pixels = np.ascontiguousarray(batch.crops).data
        with storage_errors(self._partial), (self._partial / name).open("wb") as part:
            about = json.dumps([batch.rows, batch.unreadable, batch.refused], ensure_ascii=False).encode() + b"\n"
            part.write(_checksum(about, pixels))
            part.write(about)
            part.write(pixels)
        self._counts[name] = len(batch.rows)

    def finish(
        self,
        folder: Path,
        dataset: str,
        provenance: str,
        faces: Mapping[str, Any],
        skipped_files: Mapping[str, int] | None = None,
        complete: Callable[[Path], None] | None = None,
    ) -> None:
        """Make the store at ``folder`` from the appended batches, in one step; an existing store is replaced.

        While it runs, the disk holds the crops twice.

        Args:
            folder: path of the store.
            dataset: name of the data set.
            provenance: real or stand-in.
            faces: JSON values: the parameters of detection and cropping, which models trained on the crops inherit.
            skipped_files: number of files that were not pictures, by ending.
            complete: called with the folder of the store's files before it gets its name, to add files.

        Raises:
            StorageError: the disk is full or fails; appended batches are kept.
        """
        packed = self._partial / PACKED
        with storage_errors(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
        with storage_errors(self._partial):
            shutil.rmtree(packed, ignore_errors=True)
            packed.mkdir()
            about = self._pack(packed)
            crops = sum(self._counts.values())
            store = {"dataset": dataset, "provenance": provenance, "crops": crops, "faces": dict(faces)}
            describe(packed, store, about | ({"passed_over": dict(skipped_files)} if skipped_files else {}))
            if complete is not None:
                complete(packed)
        with storage_errors(folder):
            if folder.exists():
                remove_folder(folder)
            move_folder(packed, folder)
        shutil.rmtree(self._partial, ignore_errors=True)  # the store is complete: leftovers do no harm

    def _pack(self, packed: Path) -> dict[str, Any]:
        """Write crops, manifest and samples; return counts by method of detection, and the unreadable pictures."""
        names = [name for name in self._inputs if name in self._counts]
        unreadable: dict[str, str] = {}
        with packing(packed, sum(self._counts.values())) as packer:
            for start in range(0, len(names), BATCHES_A_GROUP):
                rows: list[dict[str, Any]] = []
                for name in names[start : start + BATCHES_A_GROUP]:
                    batch = _read(self._partial / name)
                    if batch is None:
                        raise StorageError(
                            f"{self._partial / name}: damaged since it was written; run the same command again "
                            "to make it again"
                        )
                    packer.add_crops(batch.crops.data)
                    rows += batch.rows
                    unreadable |= batch.unreadable
                packer.add_rows(arrow_rows(rows))
        return {"methods": dict(sorted(packer.methods.items())), "unreadable": unreadable}


def _checksum(about: bytes, pixels: bytes | memoryview) -> bytes:
    """Return the first line of a part file."""
    return f"{zlib.crc32(pixels, zlib.crc32(about)):08x}\n".encode()


def _read(part: Path) -> CropBatch | None:
    """Return the batch in a part file; None if it is missing or damaged, for example because its writer was killed."""
    try:
        with part.open("rb") as file:
            checksum, about, pixels = file.readline(), file.readline(), file.read()
    except OSError:
        return None
    if checksum != _checksum(about, pixels):
        return None
    crops = np.frombuffer(pixels, dtype=np.uint8).reshape(-1, CROP_SIZE, CROP_SIZE, 3)
    return CropBatch(crops, *json.loads(about))


def summary(folder: Path) -> dict[str, int | float]:
    """Return numbers about the faces of a store.

    Args:
        folder: the store.

    Returns:
        Counts and medians by name. detection_rate is MTCNN's share of the searched pictures. Sets whose pictures were
        all used as given have no detection_rate and no median_score.
    """
    description = read_description(folder)
    rows = read_parquet(folder / "manifest.parquet", ["method", "faces", "score", "turned", "sharpness"])
    methods = {method: description["methods"].get(method, 0) for method in METHODS}
    searched = len(rows) - methods["given"]
    counts: dict[str, int | float] = {
        "pictures": len(rows) + len(description["unreadable"]),
        "crops": len(rows),
        "unreadable": len(description["unreadable"]),
        **methods,
        "turned": int((rows["turned"] > 0).sum()),
        "several_faces": int((rows["faces"] > 1).sum()),
        "median_sharpness": round(float(rows["sharpness"].median()), 1),
    }
    if searched:
        counts["detection_rate"] = methods["mtcnn"] / searched
    if methods["mtcnn"]:
        counts["median_score"] = round(float(rows["score"].median()), 4)
    return counts
