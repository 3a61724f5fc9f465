"""The face detectors that benchmarks/faces.py compares, with a common signature, each in its batch mode.

As a program it measures one of them: python -m benchmarks.detectors NAME PICTURES.npy SECONDS DEVICE
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
import typer
from numpy.typing import NDArray

from pipeline.faces.boxes import area
from pipeline.faces.mtcnn import MTCNN

Image = NDArray[np.uint8]
Batches = Sequence[Sequence[Image]]
Detector = Callable[[], list[NDArray[np.float64]]]
"""Yields, by batch, the box (4) of the largest face of each picture; NaN if there is none."""

BATCH = 16
"""Pictures per batch."""

MIN_FACE, SCALE_FACTOR, THRESHOLDS = 20, 0.709, (0.6, 0.7, 0.8)
"""The search parameters, the same for all detectors."""

NOTHING = np.full(4, np.nan)


def largest(boxes: NDArray[np.floating] | None) -> NDArray[np.float64]:
    """Return the largest of the boxes (n×4)."""
    return NOTHING if boxes is None or len(boxes) == 0 else np.asarray(boxes[int(area(boxes).argmax())], dtype=float)


def project(batches: Batches, device: str, large_first: bool) -> Detector:
    """This project's detector; on a CPU one process per core, with one thread each, as in the faces stage."""
    detector = MTCNN(MIN_FACE, SCALE_FACTOR, THRESHOLDS, torch.device(device), large_first)

    def one(index: int) -> list[NDArray[np.float64]]:
        return [largest(found.boxes) for found in detector.detect(batches[index])]

    if device != "cpu":
        return lambda: [box for index in range(len(batches)) for box in one(index)]
    _inherited.append(one)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    pool = get_context("fork").Pool(len(os.sched_getaffinity(0)))
    return lambda: [box for boxes in pool.imap(_call, range(len(batches))) for box in boxes]


_inherited: list[Callable[[int], list[NDArray[np.float64]]]] = []
"""The batches, which forked processes share without a copy."""


def _call(index: int) -> list[NDArray[np.float64]]:
    return _inherited[0](index)


def mtcnn_package(batches: Batches, device: str) -> Detector:
    """The package mtcnn on TensorFlow, with TensorFlow's own threads."""
    import mtcnn
    import tensorflow as tf

    with tf.device("/CPU:0" if device == "cpu" else "/GPU:0"):
        detector = mtcnn.MTCNN()
    search = {"min_face_size": MIN_FACE, "scale_factor": SCALE_FACTOR}
    search |= dict(zip(("threshold_pnet", "threshold_rnet", "threshold_onet"), THRESHOLDS, strict=True))
    output = {"fit_to_image": True, "box_format": "xyxy", "output_type": "numpy"}

    def detect() -> list[NDArray[np.float64]]:
        boxes = []
        for batch in batches:
            rows = np.asarray(detector.detect_faces(list(batch), **search, **output)).reshape(-1, 16)
            boxes += [largest(rows[rows[:, 0] == index, 1:5]) for index in range(len(batch))]
        return boxes

    return detect


def facenet(batches: Batches, device: str) -> Detector:
    """facenet-pytorch's MTCNN, with PyTorch's own threads."""
    import facenet_pytorch

    detector = facenet_pytorch.MTCNN(
        min_face_size=MIN_FACE, factor=SCALE_FACTOR, thresholds=list(THRESHOLDS), keep_all=True, device=device
    )
    return lambda: [largest(boxes) for batch in batches for boxes in detector.detect(np.stack(batch))[0]]


PEERS = {"mtcnn package, TensorFlow": "tensorflow", "facenet-pytorch": "facenet_pytorch"}
"""The peers, and the additional module that each needs."""

DETECTORS: dict[str, Callable[[Batches, str], Detector]] = {
    "mtcnn package, TensorFlow": mtcnn_package,
    "facenet-pytorch": facenet,
    "this project, exact": partial(project, large_first=False),
    "this project, large first": partial(project, large_first=True),
}


def run(detector: str, pictures: Path, seconds: float, device: str) -> None:
    """Measure one detector; print JSON: pictures per second, and the largest face of each picture."""
    images = list(np.load(pictures))
    detect = DETECTORS[detector]([images[start : start + BATCH] for start in range(0, len(images), BATCH)], device)
    boxes = detect()  # and every size, thread and graph is warm
    done, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds or not done:
        detect()
        done += len(images)
    print(json.dumps({"rate": done / elapsed, "boxes": [box.tolist() for box in boxes]}))


if __name__ == "__main__":
    typer.run(run)
