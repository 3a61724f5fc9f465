"""Features of a part (shard) of a set's pictures, and joining all parts into the features of one run.

The folder of a part contains

``features.npy``    float32 M×D: the features, in the order of computation
``places.npy``      int64 M×2: for each feature, the picture's row and the number of the view
``features.json``   the inputs of the features and their digest, as in ``pipeline.networks.features``
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pipeline.files.atomic import atomic_folder, require_free
from pipeline.files.io import read_array, read_json
from pipeline.networks.feature_files import FEATURES, NOTE, features_folder, open_array, write_note
from pipeline.networks.features import FeatureRequest
from pipeline.progress import progress_bar
from pipeline.shards import RECORD, FoundShard, Shard, computed_with, write_shard

KIND = "features"
PLACES = "places.npy"

AT_ONCE = 4096
"""Number of features that are copied at once, to limit memory."""


def write_features_shard(request: FeatureRequest, folder: Path, device: torch.device, shard: Shard) -> None:
    """Compute a part of the requested features and write it to ``folder``, unless it is there already.

    Raises:
        StorageError: the disk is full or fails.
    """
    made_from = request.description
    with features_folder(folder, made_from, [FEATURES, PLACES, RECORD]) as temporary:
        if temporary is None:
            return
        count, start = request.count(shard), 0
        features = open_array(temporary / FEATURES, count, request.encoder.dim)
        places = np.lib.format.open_memmap(temporary / PLACES, mode="w+", dtype=np.int64, shape=(count, 2))
        for rows, view, found in request.compute(request.encoder, device, shard):
            end = start + len(rows)
            features[start:end], places[start:end, 0], places[start:end, 1] = found, rows.numpy(), view
            start = end
        features.flush()
        places.flush()
        write_note(temporary, made_from)
        counts = {"features": count, "pictures": len(request.images), "views": 1 + request.views}
        computed = {**made_from, "device": device.type, **computed_with()}
        write_shard(temporary, KIND, shard, request.crops, computed, counts)


def join_features(shards: Sequence[FoundShard], folder: Path) -> None:
    """Join the features of all parts. The result is what a single run would have written.

    Args:
        shards: the parts, as returned by ``read_shards``.
        folder: the folder to write, which must not exist.

    Raises:
        DatasetError: ``folder`` exists already.
        StorageError: it cannot be written.
        StorageError: it cannot be written.
    """
    require_free(folder, "--out")
    counts, dim = shards[0].record.counts, read_array(shards[0].folder / FEATURES).shape[1]
    with atomic_folder(folder) as temporary:
        open_array(temporary / FEATURES, counts["pictures"], counts["views"], dim).flush()
        for shard in progress_bar(shards, desc="join", unit="shard"):
            _copy(shard.folder, temporary / FEATURES)
        write_note(temporary, read_json(shards[0].folder / NOTE))  # with a digest of all features, not of the part


def _copy(part: Path, to: Path) -> None:
    """Copy the features of a part to their places. The memory maps close at the end, which frees the pages read."""
    features, places, joined = read_array(part / FEATURES), read_array(part / PLACES), np.load(to, mmap_mode="r+")
    for start in range(0, len(features), AT_ONCE):
        block = slice(start, start + AT_ONCE)
        joined[places[block, 0], places[block, 1]] = features[block]
    joined.flush()
