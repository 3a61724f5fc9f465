"""``pocan join``: join the results of ``--shard`` into what a single run would have written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DamagedFileError
from pipeline.faces.extract import KIND as FACES
from pipeline.networks.feature_shards import KIND as FEATURES
from pipeline.networks.feature_shards import join_features
from pipeline.prediction.sharding import KIND as PREDICTIONS
from pipeline.prediction.sharding import join_rows
from pipeline.reporting.folder_faces import join_folders
from pipeline.shards import read_shards


@dataclass(frozen=True)
class Joined:
    """What was written.

    Attributes:
        paths: files and folders.
        summary: one line for the user.
    """

    paths: list[Path]
    summary: str


def join(folders: Sequence[Path], out: Path) -> Joined:
    """Join all shards of one run.

    Args:
        folders: folders of the shards, in any order.
        out: path of the result, which must not exist: a folder for faces and features, a file for predictions.

    Raises:
        DatasetError: a shard is missing, occurs twice or belongs to another run, or ``out`` exists.
        DamagedFileError: a file of a shard is damaged, or was written by an unknown version of this project.
        StorageError: ``out`` cannot be written.
    """
    shards = read_shards(folders)
    kind, counts = shards[0].record.kind, [shard.record.counts for shard in shards]
    if kind == FACES:
        paths = join_folders(shards, out)
        crops, unreadable = (sum(one[name] for one in counts) for name in ("crops", "unreadable"))
        return Joined(paths, f"{crops} crops, {unreadable} unreadable, of {len(shards)} shards")
    if kind == PREDICTIONS:
        return Joined([out], join_rows(shards, out))
    if kind == FEATURES:
        join_features(shards, out)
        return Joined([out], f"features of {counts[0]['pictures']} pictures, of {len(shards)} shards")
    raise DamagedFileError(f"{shards[0].folder}: this shard is of another version of this project ({kind!r})")
