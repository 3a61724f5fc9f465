"""The faces of any folder of pictures, outside of the pipeline."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from pipeline.compute import device
from pipeline.config.pictures import FaceParams
from pipeline.data.crops import CropStore, read_description
from pipeline.datasets.folder import UnlabelledFolder
from pipeline.datasets.parts.base import Dataset
from pipeline.errors import DatasetError
from pipeline.faces.extract import extract
from pipeline.faces.joining import join_stores
from pipeline.faces.writer import summary
from pipeline.files.atomic import atomic_folder, require_free
from pipeline.files.names import require_utf8
from pipeline.files.records import read_record
from pipeline.locks import exclusive
from pipeline.reporting.faces_report import write_faces_report
from pipeline.shards import RECORD, FoundShard, Shard, ShardRecord


def require_apart(out: Path, folder: Path) -> None:
    """Check that ``out`` does not lie in ``folder``, where its pictures would be taken for the user's.

    Raises:
        DatasetError: it does.
    """
    if out.resolve().is_relative_to(folder.resolve()):
        raise DatasetError(f"{out}: is inside {folder}, whose pictures are read; name a folder beside it with --out")


def extract_folder(
    folder: Path, out: Path, params: FaceParams, device_name: str, processes: int | None, shard: Shard | None = None
) -> list[Path]:
    """What the faces stage does with a data set, for a folder of pictures.

    Any number of pictures may be unreadable: they are listed in the report.

    Args:
        folder: the pictures.
        out: where crops and report go.
        params: section faces.
        device_name: auto, cpu or cuda.
        processes: that read pictures; None: as many as there are cores for.
        shard: only this part of the pictures, without a report; None: all of them.

    Returns:
        The files and folders made in ``out``.

    Raises:
        DatasetError: there is no such folder or no readable picture in it, ``out`` has crops already or lies in it.
        StorageError: another process is at work on ``out``, or it cannot be written.
    """
    pictures, store = UnlabelledFolder(folder), out / "crops"
    report = out / "faces.md"
    require_utf8(out, "--out")
    require_apart(out, folder)
    with exclusive(out):
        if store.exists() and (report.exists() or shard is not None or (store / RECORD).exists()):
            raise DatasetError(f"{store}: there are crops already; remove the folder or name another one with --out")
        partial, on = out / ".in-progress", device.pick(device_name)
        with nothing_left(out, partial):
            if shard is None:
                return extract_pictures(pictures, out, partial, params, on, processes)
            extract(pictures, store, partial, params, 1.0, on, processes, shard)
            return [store]


@contextmanager
def nothing_left(out: Path, in_progress: Path) -> Iterator[None]:
    """Remove the work in progress where the pictures turn out to be none, and ``out`` where it is empty then."""
    try:
        yield
    except DatasetError:
        shutil.rmtree(in_progress, ignore_errors=True)
        if out.is_dir() and not any(out.iterdir()):
            out.rmdir()
        raise


def join_folders(shards: Sequence[FoundShard], out: Path) -> list[Path]:
    """Write what ``extract_folder`` would have made of all pictures at once, from its parts, as a whole.

    Args:
        shards: the parts, whole and in order.
        out: a new folder for crops and report.

    Returns:
        The files and folders made in ``out``.

    Raises:
        DatasetError: ``out`` is there already, or no picture was readable.
        StorageError: another process is at work on ``out``, or it cannot be written.
    """
    require_utf8(out, "--out")
    with exclusive(out):
        require_free(out, "--out")
        with atomic_folder(out) as temporary:
            store = temporary / "crops"
            join_stores(shards, store)
            name = read_description(store)["dataset"]
            written = write_faces_report({name: store}, temporary / "faces.md", temporary / "contact-sheets")
        return [out / path.relative_to(temporary) for path in (store, *written)]


def shard_found(shard: Shard, out: Path) -> str:
    """What a part of the pictures came to, in words."""
    record = read_record(ShardRecord, out / "crops" / RECORD, "pocan faces")
    unreadable = record.counts["unreadable"]
    return f"shard {shard}: {record.counts['crops']} crops, {unreadable} unreadable; join all with pocan join"


def faces_found(store: CropStore, unit: str) -> str:
    """In how many readable pictures there is a face; ``unit``: what these are, "picture" or "frame"."""
    counts = summary(store.folder)
    return f"a face in {counts['crops'] - counts['whole']} of {counts['crops']} readable {unit}s: {found_by(store)}"


def found_by(store: CropStore) -> str:
    """In how many pictures which detector found the face, and what of the pictures is not used."""
    counts = summary(store.folder)
    parts = [f"MTCNN found one in {counts['mtcnn']}"]
    if counts["haar"]:
        parts[0] += f", the Haar cascade in {counts['haar']} more, which pocan predict ignores"
    if counts["several_faces"]:
        parts.append(f"several in {counts['several_faces']}, of which one each is used")
    if counts["unreadable"]:
        parts.append(f"{counts['unreadable']} could not be read")
    return "; ".join(parts)


def extract_pictures(
    pictures: Dataset,
    out: Path,
    partial: Path,
    params: FaceParams,
    detector_device: torch.device,
    processes: int | None,
) -> list[Path]:
    """Crops, faces.md and contact sheets in ``out``, as far as they are not there.

    Args:
        pictures: what is read.
        out: where crops and report go.
        partial: where extraction goes on that was interrupted.
        params: section faces.
        detector_device: the device of the detector.
        processes: that read pictures; None: as many as there are cores for.

    Returns:
        The paths of what was made.

    Raises:
        DatasetError: no picture is readable.
        StorageError: the disk is full.
    """
    store = out / "crops"
    if not store.exists():  # else only the report was interrupted
        extract(pictures, store, partial, params, 1.0, detector_device, processes)
    return [store, *write_faces_report({pictures.name: store}, out / "faces.md", out / "contact-sheets")]
