"""The faces of a whole data set: every picture becomes one crop in the crop store."""

import contextlib
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from pipeline.config.pictures import FaceParams
from pipeline.data import crops
from pipeline.datasets.parts.base import Dataset
from pipeline.errors import DatasetError
from pipeline.faces.batches import Batches, FaceBatches, batch_name, divide
from pipeline.faces.processes import crop_batches
from pipeline.faces.writer import CropWriter
from pipeline.progress import progress_bar, say
from pipeline.shards import WHOLE, Shard, computed_with, listing_digest, write_shard

KIND = "faces"
"""Kind of work in the record of a shard (``shard.json``)."""

NAMED = 5
"""Maximum number of unreadable files that the error message names."""


@dataclass
class Unreadable:
    """Counts a set's unreadable pictures, and stops the work if there are too many.

    Attributes:
        dataset: name of the set.
        total: number of its pictures.
        allowed: share of pictures that may be unreadable, 0 to 1.
        unit: what a sample is.
        reasons: why pictures are unreadable, by key.
    """

    dataset: str
    total: int
    allowed: float
    unit: str = "picture"
    reasons: dict[str, str] = field(default_factory=dict)

    def add(self, reasons: dict[str, str]) -> None:
        """Record unreadable pictures, with the reason by key.

        Raises:
            DatasetError: more than the allowed share of the set is unreadable.
        """
        self.reasons |= reasons
        if len(self.reasons) > self.allowed * self.total:
            named = "\n".join(f"  {reason}" for reason in list(self.reasons.values())[:NAMED])
            raise DatasetError(
                f"{self.dataset}: over {self.allowed:.2%} of its {self.total} pictures cannot be read; the first:\n"
                f"{named}\nRepair or remove these files, or raise data.max_unreadable in params.yaml; "
                f"finished work is kept"
            )


def extract(
    dataset: Dataset,
    folder: Path,
    partial: Path,
    params: FaceParams,
    max_unreadable: float,
    device: torch.device,
    processes: int | None = None,
    shard: Shard | None = None,
) -> None:
    """Detect, crop and store every picture of a data set, in the order of its samples.

    One face per picture is used: MTCNN's, else the Haar cascade's, else the whole picture; the manifest says which. An
    unreadable picture has no crop, and is listed with the reason in the store's description. Memory does not grow with
    the set, except for the names of its pictures.

    After any interruption, a run with the same pictures and parameters continues with the unfinished batches and gives
    the same bytes. Pictures that the system failed to read are tried again.

    Args:
        dataset: the pictures.
        folder: path of the store.
        partial: folder of the work in progress, if possible on the same file system.
        params: how faces are found and cropped.
        max_unreadable: share of the set's pictures that may be unreadable, 0 to 1.
        device: device of the detector.
        processes: number of processes, by default one per core. More than one need a main module that can be imported.
        shard: process only this part of the batches; the store then has a ``shard.json``. None: all batches.

    Raises:
        DatasetError: more than ``max_unreadable`` of the pictures are unreadable, or all of them.
        PipelineError: a process died; finished work is kept.
        StorageError: a file cannot be written, for example because the disk is full.
        WeightsError: a detector's files are missing.
    """
    batches, listing = _list(dataset, params.batch_size, shard)
    count = sum(map(len, batches))
    made_from = _made_from(dataset, params, device)
    settings = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    names = [batch_name(dataset, batch, settings) for batch in batches]
    unreadable = Unreadable(dataset.name, count, max_unreadable, dataset.unit)
    writer = CropWriter(partial)
    _fill(writer, names, batches, FaceBatches(dataset, params, device), processes, unreadable)
    if shard is None and len(unreadable.reasons) == count:
        raise DatasetError(f"{dataset.root}: none of the {count} pictures can be read; {dataset.advice}")
    # Only the last shard counts the files that are not pictures, because this means searching all folders.
    passed = _report_reading(dataset) if shard is None or shard.is_last else {}

    def record(store: Path) -> None:
        assert shard is not None
        found = {"pictures": count, "crops": count - len(unreadable.reasons), "unreadable": len(unreadable.reasons)}
        write_shard(store, KIND, shard, listing, made_from, found)

    complete = None if shard is None else record
    writer.finish(folder, dataset.name, dataset.provenance, params.model_dump(mode="json"), passed, complete)


def _list(dataset: Dataset, size: int, shard: Shard | None) -> tuple[Batches, str]:
    """Return the batches of a shard, or of the whole set, and a digest of the names of the whole set's samples."""
    samples = dataset.samples()
    batches = divide(samples, size)
    listing = "" if shard is None else listing_digest(sample.key for sample in samples)
    return batches[(shard or WHOLE).part(len(batches))], listing


def _fill(
    writer: CropWriter,
    names: list[str],
    batches: Batches,
    work: FaceBatches,
    processes: int | None,
    unreadable: Unreadable,
) -> None:
    """Add every batch to the writer under its name: first those that an interrupted run finished, then the others."""
    done = set[int]()
    progress: tqdm[Any] = progress_bar(total=unreadable.total, desc=f"faces {unreadable.dataset}", unit=unreadable.unit)
    with progress:
        for place, result in writer.resume(names):
            unreadable.add(result.unreadable)
            progress.update(len(batches[place]))
            done.add(place)
        progress.initial = progress.n  # so that rate and remaining time are those of this run
        rest = [place for place in range(len(batches)) if place not in done]
        with contextlib.closing(crop_batches(work, [batches[place] for place in rest], processes)) as results:
            for place, result in zip(rest, results, strict=True):
                writer.append(names[place], result)
                unreadable.add(result.unreadable)
                progress.update(len(batches[place]))


def _report_reading(dataset: Dataset) -> dict[str, int]:
    """Print how the set was read, if there are several ways, and how many files were skipped; return these numbers."""
    if dataset.reading_notes:
        say(f"faces {dataset.name}: read {dataset.reading_notes}")
    if passed := dataset.skipped_files():
        counts = ", ".join(f"{count} {kind}" for kind, count in passed.items())
        say(f"faces {dataset.name}: skipped, because they are not pictures: {counts}")
    return passed


def _made_from(dataset: Dataset, params: FaceParams, device: torch.device) -> dict[str, Any]:
    """Return everything except the pictures that determines a store's bytes: parameters, device, code and libraries."""
    library = Path(__file__).parent
    code = [library, library.parent / "datasets", Path(crops.__file__)]
    made_from: dict[str, Any] = {f"faces.{name}": value for name, value in params.model_dump(mode="json").items()}
    return made_from | {"data set": dataset.name, "device": device.type, **computed_with(code)}
