"""The faces of a whole data set: every picture becomes one crop in the packed store."""

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
"""What the record of a part of a store calls it."""

NAMED = 5
"""Unreadable files named in the error message."""


@dataclass
class Unreadable:
    """Counts the unreadable pictures of a set and ends the work when they are too many.

    Attributes:
        dataset: name of the set.
        total: number of its pictures.
        allowed: share of them that may be unreadable, 0 to 1.
        unit: what its samples are.
        reasons: why each unreadable picture is, by key.
    """

    dataset: str
    total: int
    allowed: float
    unit: str = "picture"
    reasons: dict[str, str] = field(default_factory=dict)

    def add(self, reasons: dict[str, str]) -> None:
        """Note unreadable pictures: the reason by key.

        Raises:
            DatasetError: more than the allowed share of the set is unreadable.
        """
        self.reasons |= reasons
        if len(self.reasons) > self.allowed * self.total:
            named = "\n".join(f"  {reason}" for reason in list(self.reasons.values())[:NAMED])
            raise DatasetError(
                f"{self.dataset}: over {self.allowed:.2%} of its {self.total} pictures cannot be read; the first:\n"
                f"{named}\nRepair or remove these files, or raise data.max_unreadable in params.yaml; "
                f"what is done so far is kept"
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
    """Detect, crop and pack every picture of a data set into a crop store, in the order of its samples.

    One face a picture is taken: MTCNN's, else the Haar cascade's, else the whole picture; the manifest tells which. An
    unreadable picture has no crop and is listed with its reason in the store's description. Memory does not grow with
    the set, except for the names of its pictures.

    However the work was interrupted, with the same pictures and parameters it goes on with the batches that are not
    finished, and ends in the same bytes. Pictures that the system would not read out are tried again.

    Args:
        dataset: the pictures.
        folder: where the store will be.
        partial: folder of the work in progress, best on the same file system.
        params: how faces are found and cropped.
        max_unreadable: share of the set's pictures that may be unreadable, 0 to 1.
        device: where the detector computes.
        processes: by default one a core; more than one need a main module that can be imported.
        shard: of the set's batches only this part; the store then has a ``shard.json``. None: all of them.

    Raises:
        DatasetError: more than ``max_unreadable`` of the pictures are unreadable, or all of them.
        PipelineError: a process died; what is done is kept.
        StorageError: the system refuses to write, as on a full disk.
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
    # Of several parts the last one counts what is none of the pictures, and looks through all folders for it.
    passed = _report_reading(dataset) if shard is None or shard.is_last else {}

    def record(store: Path) -> None:
        assert shard is not None
        found = {"pictures": count, "crops": count - len(unreadable.reasons), "unreadable": len(unreadable.reasons)}
        write_shard(store, KIND, shard, listing, made_from, found)

    complete = None if shard is None else record
    writer.finish(folder, dataset.name, dataset.provenance, params.model_dump(mode="json"), passed, complete)


def _list(dataset: Dataset, size: int, shard: Shard | None) -> tuple[Batches, str]:
    """The batches of a part of a set, or of all of it, and a digest of the names of the whole set's samples."""
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
    """Bring every batch into the writer under its name: those of an interrupted run are there, the rest is made."""
    done = set[int]()
    progress: tqdm[Any] = progress_bar(total=unreadable.total, desc=f"faces {unreadable.dataset}", unit=unreadable.unit)
    with progress:
        for place, result in writer.resume(names):
            unreadable.add(result.unreadable)
            progress.update(len(batches[place]))
            done.add(place)
        progress.initial = progress.n  # the rate and the time left are this run's
        rest = [place for place in range(len(batches)) if place not in done]
        with contextlib.closing(crop_batches(work, [batches[place] for place in rest], processes)) as results:
            for place, result in zip(rest, results, strict=True):
                writer.append(names[place], result)
                unreadable.add(result.unreadable)
                progress.update(len(batches[place]))


def _report_reading(dataset: Dataset) -> dict[str, int]:
    """Print how the set was read where there are several ways, and how many files were no pictures; returns these."""
    if dataset.reading_notes:
        say(f"faces {dataset.name}: read {dataset.reading_notes}")
    if passed := dataset.skipped_files():
        counts = ", ".join(f"{count} {kind}" for kind, count in passed.items())
        say(f"faces {dataset.name}: skipped, because they are not pictures: {counts}")
    return passed


def _made_from(dataset: Dataset, params: FaceParams, device: torch.device) -> dict[str, Any]:
    """All but the pictures that decides a store's bytes, by name: parameters, device, code and libraries."""
    library = Path(__file__).parent
    code = [library, library.parent / "datasets", Path(crops.__file__)]
    made_from: dict[str, Any] = {f"faces.{name}": value for name, value in params.model_dump(mode="json").items()}
    return made_from | {"data set": dataset.name, "device": device.type, **computed_with(code)}
