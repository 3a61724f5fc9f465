"""The work in progress on a crop store: what is done so far, so that an interruption or a repair costs none of it.

It lies in a folder of its own: the crops, and a journal with one line a batch, which is written after the batch's crops
and holds their checksum. Whatever is killed in between, the lines that can be read and whose crops are intact tell what
is done.
"""

import itertools
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pipeline.data.crops import CROP_SIZE, MANIFEST_COLUMNS
from pipeline.files.atomic import storage_errors

CROP_BYTES = CROP_SIZE * CROP_SIZE * 3

HEADER_BYTES = 128
"""Size of an .npy header for any number of crops: numpy leaves room for the shape to change."""

JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class CropBatch:
    """What becomes of a batch of pictures.

    crops: uint8 n×112×112×3 RGB. rows: their manifest rows (keys of ``MANIFEST_COLUMNS``; absent: missing).
    unreadable: the reason by key for pictures without a crop. refused: of these, the keys of those that the system
    would not read out, which says nothing of the pictures: they are tried again.
    """

    crops: NDArray[np.uint8]
    rows: list[dict[str, Any]]
    unreadable: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the journal. line: where it begins, in bytes. crc32: its own. first, count: its crops in the file."""

    line: int
    crc32: int
    first: int
    count: int


class Journal:
    """Notes batches in constant memory but for a few numbers each, and goes on where an earlier one stopped.

    They may be appended in any order, and again: the last one of a name counts.
    """

    def __init__(self, partial: Path) -> None:
        """``partial``: the folder of the work in progress, best on the file system of the store to come."""
        self._partial = partial
        self._crops, self._journal = partial / "crops.npy", partial / JOURNAL
        self._inputs: Sequence[str] = ()
        self._entries: dict[str, Entry] = {}
        self._count = self._end = 0  # crops and bytes of the journal, dead ones included

    def resume(self, inputs: Sequence[str]) -> Iterator[tuple[int, CropBatch]]:
        """The batches that are done, each with its place in ``inputs``, which name what a batch is made from.

        A batch with pictures that the system refused is not done. Must be exhausted before ``append``; what nobody can
        use is cut off.

        Raises:
            StorageError: the folder cannot be made, read or written.
        """
        self._inputs, self._entries, self._count, self._end = inputs, {}, 0, 0
        places = {name: place for place, name in enumerate(inputs)}
        with storage_errors(self._partial):
            self._prepare()
        count = end = 0
        with self._journal.open("rb") as journal, self._crops.open("rb") as crops:
            for line in journal:
                parsed = _parsed(line)
                if parsed is None:
                    break
                entry = Entry(end, zlib.crc32(line), count, len(parsed["rows"]))
                count, end = count + entry.count, end + len(line)
                if parsed["from"] not in places:  # of other pictures or parameters
                    continue
                batch = _batch(parsed, entry, crops)
                if batch is None:
                    break
                self._entries[parsed["from"]] = entry
                self._count, self._end = count, end
                if not batch.refused:
                    yield places[parsed["from"]], batch
        with storage_errors(self._partial):
            os.truncate(self._journal, self._end)
            os.truncate(self._crops, _place(self._count))

    def _prepare(self) -> None:
        self._partial.mkdir(parents=True, exist_ok=True)
        for path in self._partial.iterdir():
            if path not in (self._crops, self._journal):  # what a kill during ``finish`` has left
                path.unlink()
        for path in (self._crops, self._journal):
            path.touch()

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
        with storage_errors(self._partial):
            line = _line(name, batch, pixels)
            entry = Entry(self._end, zlib.crc32(line), self._count, len(batch.rows))
            known = self._entries.get(name)
            if known is not None and known.crc32 == entry.crc32:  # tried again, refused again
                return
            with self._crops.open("r+b") as crops:
                crops.seek(_place(self._count))
                crops.write(pixels)
            with self._journal.open("r+b") as journal:
                journal.seek(self._end)
                journal.write(line)
        self._entries[name] = entry
        self._count, self._end = self._count + entry.count, self._end + len(line)

    def _said(self, entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
        """What the lines of ``entries`` say."""
        with self._journal.open("rb") as journal:
            for entry in entries:
                journal.seek(entry.line)
                yield json.loads(journal.readline())

    def _put_in_order(self) -> list[Entry]:
        """Bring crops and journal into the order of the inputs, without what is dead; returns their entries.

        Mostly nothing is to do. Else both are copied: a kill leaves the one or the other, or at worst, between two
        renames, less work that counts as done.
        """
        names = [name for name in self._inputs if name in self._entries]
        entries = [self._entries[name] for name in names]
        firsts = list(itertools.accumulate((entry.count for entry in entries), initial=0))
        if [entry.first for entry in entries] + [self._count] == firsts:
            return entries
        crops, journal = (path.with_name(f"ordered.{path.name}") for path in (self._crops, self._journal))
        with self._crops.open("rb") as old, crops.open("wb") as new:
            new.seek(HEADER_BYTES)
            for entry in entries:
                old.seek(_place(entry.first))
                new.write(old.read(entry.count * CROP_BYTES))
        placed, end = [], 0
        with self._journal.open("rb") as old, journal.open("wb") as new:
            for entry, first in zip(entries, firsts, strict=False):
                old.seek(entry.line)
                placed.append(replace(entry, line=end, first=first))
                end += new.write(old.readline())
        crops.replace(self._crops)
        journal.replace(self._journal)
        self._entries, self._count, self._end = dict(zip(names, placed, strict=True)), firsts[-1], end
        return placed


def _line(name: str, batch: CropBatch, pixels: bytes) -> bytes:
    """The journal's line of a batch."""
    said = {"from": name, "crc32": zlib.crc32(pixels), "rows": batch.rows, "unreadable": batch.unreadable}
    return (json.dumps(said | {"refused": batch.refused}, ensure_ascii=False) + "\n").encode()


def _parsed(line: bytes) -> dict[str, Any] | None:
    """What a line of the journal says; None where it is damaged, as when its writer was killed."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    keys = {"from", "crc32", "rows", "unreadable", "refused"}
    return said if line.endswith(b"\n") and isinstance(said, dict) and keys <= said.keys() else None


def _batch(said: Mapping[str, Any], entry: Entry, crops: BinaryIO) -> CropBatch | None:
    """The batch of a line with its crops; None where these are damaged."""
    crops.seek(_place(entry.first))
    pixels = crops.read(entry.count * CROP_BYTES)
    if zlib.crc32(pixels) != said["crc32"]:
        return None
    array = np.frombuffer(pixels, dtype=np.uint8).reshape(-1, CROP_SIZE, CROP_SIZE, 3)
    return CropBatch(array, said["rows"], said["unreadable"], said["refused"])


def _place(index: int) -> int:
    """Where the crop of this index begins in an .npy file."""
    return HEADER_BYTES + index * CROP_BYTES
