"""The faces of a whole data set: every picture becomes one crop in the packed store."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.crops import CropStore, CropWriter
from pipeline.datasets import Dataset, Sample
from pipeline.errors import DatasetError, UnreadableImageError
from pipeline.faces.boxes import area
from pipeline.faces.crop import Box, Image, crop, resize
from pipeline.faces.haar import HaarDetector
from pipeline.faces.mtcnn import MTCNN, Detection
from pipeline.params import FaceParams

LONGEST_SIDE = 4096
"""Enlarging stops here, or a strip a few pixels high would grow out of all proportion."""

PIXELS_AT_ONCE = 1 << 26
"""Pixels of (enlarged) pictures held at a time, whatever ``faces.batch_size`` says: 192 MiB."""

NAMED = 5
"""Unreadable files named in the error message."""


@dataclass(frozen=True)
class Face:
    """The face chosen in one picture, in pixels of the picture as it was read.

    method: mtcnn, haar or whole. faces: how many that detector saw. score: O-Net's; landmarks: five x, y; both only
    for mtcnn.
    """

    method: str
    faces: int
    box: Box
    score: float | None = None
    landmarks: list[float] | None = None


@dataclass
class Unreadable:
    """Counts the unreadable pictures of a set and ends the work when they are too many."""

    dataset: str
    total: int
    allowed: float
    reasons: dict[str, str] = field(default_factory=dict)

    def add(self, key: str, reason: str) -> None:
        """Note one picture.

        Raises:
            DatasetError: more than the allowed share of the set is unreadable.
        """
        self.reasons[key] = reason
        if len(self.reasons) > self.allowed * self.total:
            named = "\n".join(f"  {_with_key(key, reason)}" for key, reason in list(self.reasons.items())[:NAMED])
            raise DatasetError(
                f"{self.dataset}: over {self.allowed:.2%} of its {self.total} pictures cannot be read; the first:\n"
                f"{named}\nRepair or remove these files, or raise data.max_unreadable in params.yaml"
            )


def extract(
    dataset: Dataset, folder: Path, params: FaceParams, max_unreadable: float, device: torch.device
) -> CropStore:
    """Detect, crop and pack every picture of ``dataset`` into the store at ``folder``, in the order of its samples.

    The largest face is taken: MTCNN's, else the Haar cascade's, else the whole picture; the manifest tells which. An
    unreadable picture has no crop and is listed with its reason in the store's description. Memory does not grow with
    the set, except for one manifest row a picture.

    ``max_unreadable``: share of the set's pictures, 0 to 1.

    Raises:
        DatasetError: more than ``max_unreadable`` of the pictures are unreadable, or all of them.
        WeightsError: a detector's files are missing.
    """
    samples = dataset.samples()
    unreadable = Unreadable(dataset.name, len(samples), max_unreadable)
    finder = FaceFinder(params, device)
    with CropWriter(folder, len(samples)) as writer:
        for batch in _batches(dataset, samples, unreadable, params):
            faces = finder.find([image for _, image in batch])
            for (sample, image), face in zip(batch, faces, strict=True):
                writer.append(crop(image, face.box, params.margin), _row(sample, face))
        if len(unreadable.reasons) == len(samples):
            raise DatasetError(f"{dataset.root}: none of the {len(samples)} pictures can be read; unpack the set again")
        return writer.finish(dataset.name, dataset.provenance, unreadable.reasons)


class FaceFinder:
    """Chooses one face in each picture of a batch."""

    def __init__(self, params: FaceParams, device: torch.device) -> None:
        """
        Raises:
            WeightsError: a detector's files are missing.
        """
        self._enlarge_to = params.enlarge_to
        self._mtcnn = MTCNN(params.min_face, params.scale_factor, params.thresholds, device)
        self._haar = HaarDetector(params.min_face)

    def find(self, images: list[Image]) -> list[Face]:
        """One face for each picture (uint8 H×W×3 RGB)."""
        enlarged = [enlarge(image, self._enlarge_to) for image in images]
        detections = self._mtcnn.detect(enlarged)
        return [self._choose(*triple) for triple in zip(images, enlarged, detections, strict=True)]

    def _choose(self, image: Image, enlarged: Image, detection: Detection) -> Face:
        height, width = image.shape[:2]
        scale = np.array([width / enlarged.shape[1], height / enlarged.shape[0]])
        if len(detection.boxes):
            largest = int(area(detection.boxes).argmax())
            landmarks = _rounded(detection.landmarks[largest] * scale)
            score = float(detection.scores[largest])
            return Face("mtcnn", len(detection.boxes), _box(detection.boxes[largest], scale), score, landmarks)
        squares = self._haar.detect(enlarged)
        if len(squares):
            return Face("haar", len(squares), _box(squares[0], scale))
        return Face("whole", 0, (0.0, 0.0, float(width), float(height)))


def enlarge(image: Image, shorter_side: int) -> Image:
    """Bring the shorter side of a smaller picture up to ``shorter_side`` by cubic interpolation; others stay."""
    height, width = image.shape[:2]
    factor = min(shorter_side / min(height, width), LONGEST_SIDE / max(height, width))
    if factor <= 1.0:
        return image
    return resize(image, max(1, round(width * factor)), max(1, round(height * factor)))


def summary(store: CropStore) -> dict[str, int | float]:
    """The counts of the faces stage; detection_rate is MTCNN's share of the crops."""
    methods = store.description["methods"]
    crops, unreadable = len(store.manifest), len(store.description["unreadable"])
    return {
        "pictures": crops + unreadable,
        "crops": crops,
        "unreadable": unreadable,
        "mtcnn": methods.get("mtcnn", 0),
        "haar": methods.get("haar", 0),
        "whole": methods.get("whole", 0),
        "detection_rate": methods.get("mtcnn", 0) / crops,
        "several_faces": int((store.manifest["faces"] > 1).sum()),
    }


def _batches(
    dataset: Dataset, samples: list[Sample], unreadable: Unreadable, params: FaceParams
) -> Iterator[list[tuple[Sample, Image]]]:
    """The readable pictures in order, ``params.batch_size`` at a time or fewer where they are large."""
    batch: list[tuple[Sample, Image]] = []
    pixels = 0
    for sample in tqdm(samples, desc=f"faces {dataset.name}", unit="picture"):
        try:
            image = dataset.read(sample)
        except UnreadableImageError as error:
            unreadable.add(sample.key, str(error))
            continue
        batch.append((sample, image))
        pixels += image.shape[0] * image.shape[1]
        if len(batch) == params.batch_size or pixels >= PIXELS_AT_ONCE:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch


def _row(sample: Sample, face: Face) -> dict[str, Any]:
    """The manifest row of one crop."""
    return {
        "key": sample.key,
        "label": sample.label,
        "subject": sample.subject,
        "sequence": sample.sequence,
        "frame": sample.frame,
        "split": sample.split,
        "method": face.method,
        "faces": face.faces,
        "score": face.score,
        "box": list(face.box),
        "landmarks": face.landmarks,
    }


def _box(box: NDArray[np.float32], scale: NDArray[np.float64]) -> Box:
    x1, y1, x2, y2 = _rounded(box.reshape(2, 2) * scale)
    return x1, y1, x2, y2


def _rounded(points: NDArray[np.float64]) -> list[float]:
    # To a hundredth of a pixel: what lies beyond is rounding that differs between machines.
    return [round(float(value), 2) for value in points.ravel()]


def _with_key(key: str, reason: str) -> str:
    return reason if key in reason else f"{key}: {reason}"
