"""Face extraction from any folder of pictures, outside of the pipeline: ``pocan faces``."""

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
from pipeline.files.atomic import atomic_folder, require_apart, require_free
from pipeline.files.names import require_utf8
from pipeline.files.records import read_record
from pipeline.locks import exclusive
from pipeline.reporting.faces_report import write_faces_report
from pipeline.shards import RECORD, FoundShard, Shard, ShardRecord


def extract_folder(
    folder: Path, out: Path, params: FaceParams, device_name: str, processes: int | None, shard: Shard | None = None
) -> list[Path]:
    """Extract the faces of a folder of pictures, as the faces stage does for a data set.

    Any number of pictures may be unreadable; the report lists them.

    Args:
        folder: the pictures.
        out: output folder for crops and report.
        params: section faces.
        device_name: auto, cpu or cuda.
        processes: number of processes that read pictures; None: by the number of cores.
        shard: extract only this shard, without a report; None: all pictures.

    Returns:
        The files and folders created in ``out``.

    Raises:
        DatasetError: the folder does not exist or has no readable picture, or ``out`` has crops or is inside it.
        StorageError: another process uses ``out``, or it cannot be written.
    """
    pictures, store = UnlabelledFolder(folder), out / "crops"
    report = out / "faces.md"
    require_utf8(out, "--out")
    require_apart(out, folder, "--out")
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
    """If the block fails because there is no usable picture, delete intermediate files, and ``out`` if it is empty."""
    try:
        yield
    except DatasetError:
        shutil.rmtree(in_progress, ignore_errors=True)
        if out.is_dir() and not any(out.iterdir()):
            out.rmdir()
        raise


def join_folders(shards: Sequence[FoundShard], out: Path) -> list[Path]:
    """Join shards to the output that ``extract_folder`` would have written for all pictures.

    Args:
        shards: all shards, in order.
        out: a new folder for crops and report.

    Returns:
        The files and folders created in ``out``.

    Raises:
        DatasetError: ``out`` already exists, or no picture was readable.
        StorageError: another process uses ``out``, or it cannot be written.
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
    """Describe the counts of a shard in words."""
    record = read_record(ShardRecord, out / "crops" / RECORD, "pocan faces")
    unreadable = record.counts["unreadable"]
    return f"shard {shard}: {record.counts['crops']} crops, {unreadable} unreadable; join all with pocan join"


def faces_found(store: CropStore, unit: str) -> str:
    """Describe in how many readable pictures there is a face; ``unit``: "picture" or "frame"."""
    counts = summary(store.folder)
    return f"a face in {counts['crops'] - counts['whole']} of {counts['crops']} readable {unit}s: {found_by(store)}"


def found_by(store: CropStore) -> str:
    """Describe how many faces each detector found, and which pictures are not used."""
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
    """Write crops, faces.md and contact sheets to ``out``, unless they exist already.

    Args:
        pictures: the data set.
        out: output folder.
        partial: folder of intermediate files, from which an interrupted extraction continues.
        params: section faces.
        detector_device: device of the detector.
        processes: number of processes that read pictures; None: by the number of cores.

    Returns:
        The paths of all outputs.

    Raises:
        DatasetError: no picture is readable.
        StorageError: the disk is full.
    """
    store = out / "crops"
    if not store.exists():  # else only the report was interrupted
        extract(pictures, store, partial, params, 1.0, detector_device, processes)
    return [store, *write_faces_report({pictures.name: store}, out / "faces.md", out / "contact-sheets")]
