"""The files of features that are computed once (``pipeline.networks.features``), and when they are valid.

A folder holds

``features.npy``    float32 N×(1 + views)×D: of every picture the evaluation view, then training views. Zero where a
                    picture has none: those that are not trained on have no training views.
``features.json``   what they were made from: digests of encoder, crops and rows; number, seed and parameters of the
                    views; what the encoder took over from the target; and the SHA-256 of the other files. Where all
                    that is the same, they are read; else they are made anew.

and, where the encoder took something over (``pipeline.networks.encoder_statistics``),

``by_source.npy``   float32 N×1×D: of every picture the evaluation view by the source's encoder
``statistics.safetensors``  what it took over

Features are written batch by batch through a memory map, so that memory does not grow with the set.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import DamagedFileError
from pipeline.files.atomic import atomic_folder, remove_folder, storage_errors
from pipeline.files.io import damage_reported, read_json, sha256, write_json
from pipeline.locks import exclusive
from pipeline.networks.encoder_statistics import StatisticsChoice

FEATURES, NOTE = "features.npy", "features.json"
BY_SOURCE, STATISTICS = "by_source.npy", "statistics.safetensors"
CHOICE = "choice"
"""The note's key with what was chosen, a ``StatisticsChoice``."""


@contextmanager
def features_folder(folder: Path, description: dict[str, Any], files: Sequence[str]) -> Iterator[Path | None]:
    """Yield a new folder for features and their note (``write_note``); afterwards it replaces ``folder``.

    Args:
        folder: of the features.
        description: ``FeatureRequest.description``.
        files: that must be there.

    Yields:
        The folder to write into; None: those of the same description are there already.

    Raises:
        StorageError: another process computes them, or the disk is full or fails.
    """
    if not _is_whole(folder, description, files):
        with exclusive(folder):
            if not _is_whole(folder, description, files):  # another process may have written them in between
                if folder.exists():
                    with storage_errors(folder):
                        remove_folder(folder)
                with atomic_folder(folder) as temporary:
                    yield temporary
                return
    yield None


def _is_whole(folder: Path, description: dict[str, Any], files: Sequence[str]) -> bool:
    """Whether features of this description are there, undamaged, with their other files."""
    if not all((folder / name).exists() for name in files):
        return False
    try:
        return bool(made_from(folder, verify=True) == description)
    except DamagedFileError:
        return False


def write_note(folder: Path, description: dict[str, Any], choice: StatisticsChoice | None = None) -> None:
    """Say beside finished features what they were made from, what the encoder took over, and the files' digests."""
    digests = {name: sha256(folder / name) for name in (BY_SOURCE, STATISTICS) if (folder / name).exists()}
    note = description | {"sha256": sha256(folder / FEATURES)} | ({"more_sha256": digests} if digests else {})
    write_json(folder / NOTE, note | ({CHOICE: asdict(choice)} if choice else {}))


def made_from(folder: Path, verify: bool) -> Any:
    """What features were made from; None: with ``verify``, they are not the bytes that were written.

    Raises:
        DamagedFileError: there are none, or their note is damaged.
    """
    path = folder / FEATURES
    note = read_json(folder / NOTE)
    if not isinstance(note, dict):
        return note
    digests = {FEATURES: note.pop("sha256", None)} | note.pop("more_sha256", {})
    note.pop(CHOICE, None)
    with damage_reported(path):
        return None if verify and any(sha256(folder / name) != found for name, found in digests.items()) else note


def open_array(path: Path, *shape: int) -> "np.memmap[Any, np.dtype[np.float32]]":
    """A new file of zeros, by memory map."""
    array: np.memmap[Any, np.dtype[np.float32]] = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.float32, shape=shape
    )
    return array


def read_choice(folder: Path) -> StatisticsChoice:
    """Return what the encoder had taken over that made the features in ``folder``.

    Raises:
        DamagedFileError: the note is missing or damaged.
    """
    return StatisticsChoice(**read_json(folder / NOTE).get(CHOICE, {}))
