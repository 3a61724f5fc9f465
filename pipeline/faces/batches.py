"""From pictures to crops, one batch at a time."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset as Indexed

from pipeline.config.pictures import FaceParams
from pipeline.data.crops import CROP_SIZE
from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.errors import RefusedImageError, UnreadableImageError
from pipeline.faces.crop import Face, Image, crop_face, sharpness
from pipeline.faces.finder import Chooser, FaceFinder, whole_picture
from pipeline.faces.writer import CropBatch

PIXELS_AT_ONCE = 1 << 24
"""Number of pixels of pictures that are decoded together, whatever ``faces.batch_size`` is: 48 MiB."""

Batches = list[list[Sample]]


def divide(samples: Sequence[Sample], size: int) -> Batches:
    """Divide samples into batches of ``size``, in order. A batch becomes longer so as not to divide a sequence."""
    batches: Batches = []
    for sample in samples:
        current = batches[-1] if batches else []
        goes_on = bool(current) and sample.sequence is not None and current[-1].sequence == sample.sequence
        if current and (len(current) < size or goes_on):
            current.append(sample)
        else:
            batches.append([sample])
    return batches


def batch_name(dataset: Dataset, batch: Sequence[Sample], settings: str) -> str:
    """Return a digest of everything that a batch's crops are made from.

    Args:
        dataset: the set of the samples.
        batch: the samples; sizes and times of their files are included.
        settings: a digest of everything else that determines the crops.
    """
    listed = [[*astuple(sample), *_stamp(dataset.file(sample))] for sample in batch]
    return hashlib.sha256(json.dumps([settings, listed]).encode()).hexdigest()


class FaceBatches(Indexed[CropBatch]):
    """Finds and crops the faces of batches of samples. It can be created in one process and used in another."""

    def __init__(self, dataset: Dataset, params: FaceParams, device: torch.device) -> None:
        self.device = device
        self._dataset, self._params = dataset, params
        self._finder: FaceFinder | None = None

    def require_weights(self) -> None:
        """Load the detectors once in this process, so that missing files are reported once and not by every worker.

        Raises:
            WeightsError: a detector's files are missing.
        """
        FaceFinder(self._params, torch.device("cpu"))

    def __getitem__(self, batch: list[Sample]) -> CropBatch:
        """Return the crops of the readable pictures of a batch, in order.

        Raises:
            WeightsError: a detector's files are missing.
        """
        chooser = Chooser(self._params.choose, self._params.track)
        crops: list[Image] = []
        rows: list[dict[str, Any]] = []
        errors: dict[str, UnreadableImageError] = {}
        for samples, images in self._read(batch, errors):
            for sample, image, face in zip(samples, images, self._find(samples, images, chooser), strict=True):
                crops.append(crop_face(image, face, self._params))
                rows.append(_row(sample, face, crops[-1]))
        shape = (len(crops), CROP_SIZE, CROP_SIZE, 3)
        reasons = {key: str(error) for key, error in errors.items()}
        refused = [key for key, error in errors.items() if isinstance(error, RefusedImageError)]
        return CropBatch(np.stack(crops) if crops else np.empty(shape, dtype=np.uint8), rows, reasons, refused)

    def _read(
        self, batch: list[Sample], errors: dict[str, UnreadableImageError]
    ) -> Iterator[tuple[list[Sample], list[Image]]]:
        """Yield the readable pictures of a batch, in smaller groups if they are large; add the others to ``errors``."""
        samples: list[Sample] = []
        images: list[Image] = []
        for sample in batch:
            try:
                image = self._dataset.read(sample)
            except UnreadableImageError as error:
                errors[sample.key] = error
                continue
            except OSError as error:  # from sets whose pictures are rows of a table
                errors[sample.key] = RefusedImageError(f"{sample.key}: {error.strerror or error}")
                continue
            samples.append(sample)
            images.append(image)
            if sum(each.shape[0] * each.shape[1] for each in images) >= PIXELS_AT_ONCE:
                yield samples, images
                samples, images = [], []
        if samples:
            yield samples, images

    def _find(self, samples: list[Sample], images: list[Image], chooser: Chooser) -> list[Face]:
        if self._dataset.aligned and self._params.keep_aligned:
            return [whole_picture(image, "given") for image in images]
        if self._finder is None:
            self._finder = FaceFinder(self._params, self.device)
        return self._finder.find(images, [sample.sequence for sample in samples], chooser)


def _row(sample: Sample, face: Face, crop: Image) -> dict[str, Any]:
    """Return the manifest row of one crop."""
    described = {
        "method": face.method,
        "faces": face.faces,
        # To 0.001: further digits differ between processors.
        "score": None if face.score is None else round(face.score, 3),
        "box": list(face.box),
        "landmarks": face.landmarks,
        "turned": face.rotation,
        "sharpness": round(sharpness(crop), 2),
    }
    return asdict(sample) | described


def _stamp(file: Path) -> tuple[int, int]:
    """Return size and time of a file, which change when it is replaced; zeros if it does not exist."""
    try:
        status = file.stat()
    except OSError:  # reading it will list it as unreadable
        return 0, 0
    return status.st_size, status.st_mtime_ns
