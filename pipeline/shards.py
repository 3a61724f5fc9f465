"""Shards: the parts of a run that several machines compute, and the checks before they are joined.

``--shard 3/8`` is the third of eight shards. Every machine lists the whole input in the same order and takes a
contiguous block of it, so joining means appending the shards. Blocks differ by at most one unit; if there are more
shards than units, some are empty. A unit is a batch, so the division does not change its bytes.

Each shard is a folder with a file ``shard.json``, a ``ShardRecord``.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from pipeline.errors import DamagedFileError, DatasetError, ParamsError, short_repr
from pipeline.files.io import python_digests, sha256
from pipeline.files.names import as_text
from pipeline.files.records import Record, read_record, write_record
from pipeline.progress import progress_bar

RECORD = "shard.json"
NAMED = 10
"""The greatest number of shards that a message names."""

LIBRARIES = ("torch", "numpy", "opencv-python-headless", "pillow", "mtcnn")
"""The libraries that compute crops, features and predictions."""


@dataclass(frozen=True)
class Shard:
    """One shard of a run.

    Attributes:
        number: its number, from 1.
        count: the number of shards.
    """

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Create from text such as "3/8".

        Raises:
            ParamsError: the text is not of this form, or there is no such shard.
        """
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        shard = cls(int(found[1]), int(found[2])) if found else None
        if shard is None or not 1 <= shard.number <= shard.count:
            raise ParamsError(f"--shard: {short_repr(text)} is not a shard; write 1/8 to 8/8 for eight shards")
        return shard

    @property
    def is_last(self) -> bool:
        """Whether this is the last shard."""
        return self.number == self.count

    def part(self, total: int) -> slice:
        """Return this shard's part of ``total`` units."""
        return slice(total * (self.number - 1) // self.count, total * self.number // self.count)


WHOLE = Shard(1, 1)
"""The whole run as one shard."""


class ShardRecord(Record):
    """The content of ``shard.json``.

    Attributes:
        kind: what was computed: faces, predictions or features.
        number: number of the shard, from 1.
        count: number of shards.
        listing: digest of the names of all inputs of the run, in order.
        made_from: everything else that determines the bytes, by name.
        counts: results of this shard, such as the number of crops.
        files: SHA-256 of each file, by name.
    """

    kind: str
    number: int
    count: int
    listing: str
    made_from: dict[str, Any]
    counts: dict[str, int]
    files: dict[str, str]


@dataclass(frozen=True)
class FoundShard:
    """A shard and its folder."""

    folder: Path
    record: ShardRecord


def listing_digest(names: Iterable[str]) -> str:
    """Return the digest of a sequence of names."""
    found = hashlib.sha256()
    for name in names:
        found.update(as_text(name).encode() + b"\0")
    return found.hexdigest()


def computed_with(code_in: Sequence[Path] = (Path(__file__).parent,)) -> dict[str, str]:
    """Return versions of the libraries and a digest of the code, which determine the bytes besides the parameters.

    Args:
        code_in: files and folders of code; by default the whole library.
    """
    code = python_digests(code_in)
    return {**{name: version(name) for name in LIBRARIES}, "code": listing_digest(code.values())}


def write_shard(
    folder: Path, kind: str, shard: Shard, listing: str, made_from: Mapping[str, Any], counts: Mapping[str, int]
) -> None:
    """Add ``shard.json`` to a folder with all files of a shard; for the arguments see ``ShardRecord``."""
    files = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    record = ShardRecord(
        kind=kind,
        number=shard.number,
        count=shard.count,
        listing=listing,
        made_from=dict(made_from),
        counts=dict(counts),
        files=files,
    )
    write_record(folder / RECORD, record)


def read_shards(folders: Sequence[Path]) -> list[FoundShard]:
    """Read all shards of one run, in order, and check their files.

    Args:
        folders: folders of the shards, in any order; also the output folder of ``pocan faces --shard``, with ``crops``.

    Raises:
        DatasetError: a shard is missing, occurs twice, or belongs to another run.
        DamagedFileError: a file has changed.
    """
    found = sorted(map(_found, folders), key=lambda one: one.record.number)
    _require_alike(found)
    _require_each_once(found)
    for one in progress_bar(found, desc="check", unit="shard"):
        for name, digest in one.record.files.items():
            path = one.folder / name
            if not path.is_file() or sha256(path) != digest:
                raise DamagedFileError(
                    f"{path}: changed since it was written; copy it again, or compute this shard again"
                )
    return found


def _found(folder: Path) -> FoundShard:
    within = folder / "crops"
    folder = within if (within / RECORD).is_file() and not (folder / RECORD).is_file() else folder
    if not (folder / RECORD).is_file():
        raise DatasetError(f"{folder}: not a finished shard: there is no {RECORD} in it")
    return FoundShard(folder, read_record(ShardRecord, folder / RECORD, "the command that computes this shard again"))


def _require_alike(found: Sequence[FoundShard]) -> None:
    """Check that all shards are of the same run; the error names the first that is not, and what differs."""
    first = found[0]
    for other in found[1:]:
        for name, mine, theirs in _pairs(first.record, other.record):
            if mine != theirs:
                raise DatasetError(
                    f"{first.folder} and {other.folder} are shards of different runs: {name} "
                    f"{short_repr(mine)} and {short_repr(theirs)}; compute one of them again"
                )


def _pairs(one: ShardRecord, other: ShardRecord) -> Iterable[tuple[str, Any, Any]]:
    """Yield name and both values of everything that must be equal."""
    yield "kind:", one.kind, other.kind
    yield "number of shards:", one.count, other.count
    yield "digest of the inputs' names:", one.listing, other.listing
    for name in sorted({*one.made_from, *other.made_from}):
        yield f"{name}:", one.made_from.get(name), other.made_from.get(name)


def _require_each_once(found: Sequence[FoundShard]) -> None:
    folders: dict[int, Path] = {}
    for one in found:
        number, count = one.record.number, one.record.count
        if number in folders:
            raise DatasetError(f"shard {number}/{count} is in both {folders[number]} and {one.folder}: name one")
        folders[number] = one.folder
    count = found[0].record.count
    if missing := [f"{number}/{count}" for number in range(1, count + 1) if number not in folders]:
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        raise DatasetError(
            f"shards are missing: {', '.join(missing[:NAMED])}{more}; compute them, or name their folders"
        )
