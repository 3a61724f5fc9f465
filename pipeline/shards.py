"""A part of a piece of work for one of several machines, and what must hold before the parts are joined.

``--shard 3/8`` is the third of eight parts. Every machine lists the whole work in the same order and takes a contiguous
block of it, so that joining is writing one part behind the other. Blocks differ by one unit at most; where there are
more parts than units some are empty. A unit is what is computed together (a batch): so its bytes do not depend on how
the work is divided.

Each part is a folder with a file ``shard.json``, a ``ShardRecord``.
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
"""Parts that a message names."""

LIBRARIES = ("torch", "numpy", "opencv-python-headless", "pillow", "mtcnn")
"""What crops, features and predictions are computed with."""


@dataclass(frozen=True)
class Shard:
    """One part of a piece of work.

    Attributes:
        number: which, from 1.
        count: how many there are.
    """

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The part that "3/8" means.

        Raises:
            ParamsError: it is no such pair of numbers, or there is no such part.
        """
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        shard = cls(int(found[1]), int(found[2])) if found else None
        if shard is None or not 1 <= shard.number <= shard.count:
            raise ParamsError(
                f"--shard: {short_repr(text)} is no part of the work; parts count from 1: write 1/8 to 8/8 for eight"
            )
        return shard

    @property
    def is_last(self) -> bool:
        """Whether no other part follows."""
        return self.number == self.count

    def part(self, total: int) -> slice:
        """Which of ``total`` units in a row are this part's."""
        return slice(total * (self.number - 1) // self.count, total * self.number // self.count)


WHOLE = Shard(1, 1)
"""All of the work."""


class ShardRecord(Record):
    """What a part says of itself.

    Attributes:
        kind: what was computed: faces, predictions or features.
        number: which part it is, from 1.
        count: how many parts there are.
        listing: a digest of the names of all that the whole work is done on, in order.
        made_from: all else that decides the bytes, by name.
        counts: what this part came to.
        files: the SHA-256 of each of its files by name.
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
    """A part in its folder."""

    folder: Path
    record: ShardRecord


def listing_digest(names: Iterable[str]) -> str:
    """A digest of names in order."""
    found = hashlib.sha256()
    for name in names:
        found.update(as_text(name).encode() + b"\0")
    return found.hexdigest()


def computed_with(code_in: Sequence[Path] = (Path(__file__).parent,)) -> dict[str, str]:
    """What decides bytes beside parameters, by name: the libraries' versions, and a digest of the project's code.

    Args:
        code_in: files and folders of code; by default all of the library.
    """
    code = python_digests(code_in)
    return {**{name: version(name) for name in LIBRARIES}, "code": listing_digest(code.values())}


def write_shard(
    folder: Path, kind: str, shard: Shard, listing: str, made_from: Mapping[str, Any], counts: Mapping[str, int]
) -> None:
    """Add ``shard.json`` to a folder that has all files of a part; the arguments are as ``ShardRecord`` has them."""
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
    """All parts of one piece of work, in order, whole and undamaged.

    Args:
        folders: theirs, in any order; of ``pocan faces --shard`` the folder that was named, in which ``crops`` is.

    Raises:
        DatasetError: a part is missing, is there twice, or is one of another piece of work; which, and how it differs.
        DamagedFileError: a file is not as it was written.
    """
    found = sorted(map(_found, folders), key=lambda one: one.record.number)
    _require_alike(found)
    _require_each_once(found)
    for one in progress_bar(found, desc="check", unit="shard"):
        for name, digest in one.record.files.items():
            path = one.folder / name
            if not path.is_file() or sha256(path) != digest:
                raise DamagedFileError(f"{path}: not as it was written; copy it again, or make this shard again")
    return found


def _found(folder: Path) -> FoundShard:
    within = folder / "crops"
    folder = within if (within / RECORD).is_file() and not (folder / RECORD).is_file() else folder
    if not (folder / RECORD).is_file():
        raise DatasetError(f"{folder}: no finished shard: there is no {RECORD} in it")
    return FoundShard(folder, read_record(ShardRecord, folder / RECORD, "the command that makes this shard again"))


def _require_alike(found: Sequence[FoundShard]) -> None:
    """Check that all parts are of the same work; names the first that is not, and what differs."""
    first = found[0]
    for other in found[1:]:
        for name, mine, theirs in _pairs(first.record, other.record):
            if mine != theirs:
                raise DatasetError(
                    f"{first.folder} and {other.folder} are shards of unlike work: {name} "
                    f"{short_repr(mine)} and {short_repr(theirs)}; make one of them again"
                )


def _pairs(one: ShardRecord, other: ShardRecord) -> Iterable[tuple[str, Any, Any]]:
    """What must be alike: its name, and both values."""
    yield "what was computed:", one.kind, other.kind
    yield "number of shards:", one.count, other.count
    yield "digest of what is listed:", one.listing, other.listing
    for name in sorted({*one.made_from, *other.made_from}):
        yield f"{name}:", one.made_from.get(name), other.made_from.get(name)


def _require_each_once(found: Sequence[FoundShard]) -> None:
    folders: dict[int, Path] = {}
    for one in found:
        number, count = one.record.number, one.record.count
        if number in folders:
            raise DatasetError(f"shard {number}/{count} is there twice: {folders[number]} and {one.folder}; name one")
        folders[number] = one.folder
    count = found[0].record.count
    if missing := [f"{number}/{count}" for number in range(1, count + 1) if number not in folders]:
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        raise DatasetError(f"shards are missing: {', '.join(missing[:NAMED])}{more}; make them, or name their folders")
