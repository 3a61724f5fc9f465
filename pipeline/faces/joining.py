"""Joining the parts of a crop store into the store that a single run would have made, in constant memory."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data.crops import CROP_SIZE
from pipeline.errors import DatasetError
from pipeline.faces.packing import Packer, describe, packing
from pipeline.files.atomic import atomic_folder
from pipeline.files.io import damage_reported, read_json
from pipeline.progress import progress_bar
from pipeline.shards import FoundShard

CROP_BYTES = CROP_SIZE * CROP_SIZE * 3

AT_ONCE = 1024
"""Number of crops, with their rows, in memory at once: 37 MiB."""


def join_stores(shards: Sequence[FoundShard], folder: Path) -> None:
    """Write the store that joins all parts, in one step.

    Args:
        shards: the parts, as returned by ``read_shards``.
        folder: path of the store, which must not exist.

    Raises:
        DatasetError: no part contains a crop.
        StorageError: the disk is full or fails; nothing is left behind.
    """
    crops = sum(shard.record.counts["crops"] for shard in shards)
    if not crops:
        pictures = sum(shard.record.counts["pictures"] for shard in shards)
        raise DatasetError(f"none of the {pictures} pictures of all shards can be read; name a folder of pictures")
    with atomic_folder(folder) as temporary:
        with packing(temporary, crops) as packer:
            for shard in progress_bar(shards, desc="join", unit="shard"):
                _copy(shard, packer)
        told = [read_json(shard.folder / "faces.json") for shard in shards]
        unreadable = {key: reason for one in told for key, reason in one["unreadable"].items()}
        passed = {"passed_over": told[-1]["passed_over"]} if "passed_over" in told[-1] else {}
        store = read_json(shards[0].folder / "store.json")
        store = {name: value for name, value in store.items() if name != "digest"} | {"crops": crops}
        faces = {"methods": dict(sorted(packer.methods.items())), "unreadable": unreadable, **passed}
        describe(temporary, store, faces)


def _copy(shard: FoundShard, packer: Packer) -> None:
    """Copy the crops and rows of one part."""
    path = shard.folder / "crops.npy"
    with path.open("rb") as file, pq.ParquetFile(shard.folder / "manifest.parquet") as manifest:
        with damage_reported(path):
            np.lib.format.read_magic(file)
            (count, *_), *_ = np.lib.format.read_array_header_1_0(file)
            if count != manifest.metadata.num_rows:
                raise ValueError(f"{count} crops, {manifest.metadata.num_rows} rows")
        for rows in manifest.iter_batches(AT_ONCE):
            packer.add_crops(file.read(len(rows) * CROP_BYTES))
            packer.add_rows(pa.Table.from_batches([rows]))
