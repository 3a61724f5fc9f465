"""``pocan join``: the parts that ``--shard`` made, as one run would have made them."""

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
        summary: what it comes to, in words.
    """

    paths: list[Path]
    summary: str


def join(folders: Sequence[Path], out: Path) -> Joined:
    """Join all parts of one piece of work.

    Args:
        folders: of the parts, in any order.
        out: new: of faces and features a folder, of predictions a file.

    Raises:
        DatasetError: a part is missing, is there twice or belongs to other work, or ``out`` is there already.
        DamagedFileError: a file of a part is damaged, or an unknown version of this project made it.
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
    raise DamagedFileError(f"{shards[0].folder}: another version of this project made this shard ({kind!r})")
