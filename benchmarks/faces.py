"""Compare face detection of this project and two peers, in pictures per second, on the same pictures.

    python -m benchmarks.faces

Each detector runs in a separate process, in turn, for several rounds; medians and ratios to the better peer are
printed. The pictures are drawn stand-ins in the sizes of four data sets; decoding is not included, because it is the
same for all. A second table measures the whole extraction, from files to the crop store, with all cores. Installation
of the peers and results: benchmarks/README.md.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import torch
import typer
from numpy.typing import NDArray

from benchmarks.detectors import BATCH, DETECTORS, MIN_FACE, PEERS, SCALE_FACTOR
from pipeline.config import load as params
from pipeline.datasets import open_dataset
from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.faces.boxes import iou
from pipeline.faces.extract import extract
from pipeline.faces.finder import for_detection
from pipeline.standins import draw

ENLARGE_TO = 120
SETS = {"ckplus": "CK+-like", "sfew": "SFEW-like", "jaffe": "JAFFE-like", "fer2013": "FER2013-like"}
MEGABYTE = 1 << 20


def compare(
    rounds: Annotated[int, typer.Option(help="Runs of each detector on each set.")] = 3,
    scale: Annotated[float, typer.Option(help="Size of the drawn sets.")] = 0.5,
    seconds: Annotated[float, typer.Option(help="Least time of a run.")] = 3.0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Print both tables."""
    print(f"{os.cpu_count()} cores, PyTorch {torch.__version__}, device {device}\n")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, title in SETS.items():
            draw(name, root / name, seed=7, scale=scale)
            _compare_detection(root, name, title, rounds, seconds, device)
        print("From files to the crop store, large faces first:\n")
        print("| set | pictures/s | peak memory of all processes |\n| :--- | ---: | ---: |")
        for name, title in SETS.items():
            rate, peak = _from_files(root, name, device)
            print(f"| {title} | {rate:.0f} | {peak:.0f} MiB |", flush=True)


def _compare_detection(root: Path, name: str, title: str, rounds: int, seconds: float, device: str) -> None:
    pictures = _pictures(root, name)
    np.save(root / "pictures.npy", pictures)
    count, height, width, _ = pictures.shape
    print(f"{title}: {count} pictures of {width}×{height}, batches of {BATCH}\n")
    missing = {peer for peer, module in PEERS.items() if find_spec(module) is None}
    runs: dict[str, list[dict[str, Any]]] = {detector: [] for detector in DETECTORS if detector not in missing}
    for _ in range(rounds):
        for detector, results in runs.items():
            results.append(_measured(detector, root / "pictures.npy", seconds, device))
    rates = {detector: statistics.median(run["rate"] for run in results) for detector, results in runs.items()}
    best_peer = max((rates[peer] for peer in PEERS if peer in rates), default=float("nan"))
    exact = np.array(runs["this project, exact"][0]["boxes"], dtype=float)
    print("| detector | pictures/s | × better peer | same box as exact (IoU ≥ 0.95) |")
    print("| :--- | ---: | ---: | ---: |")
    for detector, results in runs.items():
        same = _same_face(exact, np.array(results[0]["boxes"], dtype=float))
        print(f"| {detector} | {rates[detector]:.1f} | {rates[detector] / best_peer:.2f} | {same:.1%} |")
    for peer in sorted(missing):
        print(f"\n{peer}: not installed")
    print(flush=True)


def _pictures(root: Path, name: str) -> NDArray[np.uint8]:
    """Return the pictures of a data set in the detectors' input size, N×H×W×3."""
    dataset = open_dataset(name, root / name)
    return np.stack([for_detection(dataset.read(sample), ENLARGE_TO) for sample in dataset.samples()])


def _measured(detector: str, pictures: Path, seconds: float, device: str) -> dict[str, Any]:
    """Run one detector in a separate process."""
    command = [sys.executable, "-m", "benchmarks.detectors", detector, str(pictures), str(seconds), device]
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=quiet, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _same_face(exact: NDArray[np.float64], boxes: NDArray[np.float64]) -> float:
    """Return the share of pictures whose largest faces have an IoU of at least 0.95, or neither has a face."""
    same = [
        bool(np.isnan(one).any() and np.isnan(other).any()) or bool(iou(one, other[None])[0] >= 0.95)
        for one, other in zip(exact, boxes, strict=True)
    ]
    return sum(same) / len(same)


class Repeated(Dataset):
    """A data set that contains every sample several times."""

    layout = "that of the data set"

    def __init__(self, dataset: Dataset, times: int) -> None:
        self.name, self.title = dataset.name, dataset.title
        self._dataset, self._times = dataset, times
        super().__init__(dataset.root)

    def samples(self) -> list[Sample]:
        """The samples, again and again."""
        return self._dataset.samples() * self._times

    def scan(self) -> Iterable[Sample]:
        """As ``samples``."""
        return self.samples()

    def read(self, sample: Sample) -> NDArray[np.uint8]:
        """As the data set reads it."""
        return self._dataset.read(sample)

    def file(self, sample: Sample) -> Path:
        """As in the data set."""
        return self._dataset.file(sample)


def _from_files(root: Path, name: str, device: str) -> tuple[float, float]:
    """Return pictures per second from files to crops, without start-up of processes, and peak memory in MiB."""
    once, often = (Repeated(open_dataset(name, root / name), times) for times in (1, 6))
    extra = _seconds(root, often, device) - _seconds(root, once, device)
    with _memory() as peaks:  # which slows the work down, so that its time does not count
        _seconds(root, once, device)
    return (len(often.samples()) - len(once.samples())) / extra, max(peaks)


def _seconds(root: Path, dataset: Dataset, device: str) -> float:
    """Measure the duration of the whole extraction with all cores."""
    settings = params.load(Path(__file__).parents[1] / "params.yaml").faces
    settings = settings.model_copy(update={"min_face": MIN_FACE, "scale_factor": SCALE_FACTOR})
    start = time.perf_counter()
    cores = len(os.sched_getaffinity(0))
    extract(dataset, root / "store", root / "work", settings, 0.1, torch.device(device), cores)
    return time.perf_counter() - start


@contextmanager
def _memory() -> Iterator[list[float]]:
    """Samples the proportional set size (PSS) of this process and its children, in MiB."""
    peaks, stop = [0.0], threading.Event()

    def sample() -> None:
        while not stop.wait(0.05):
            total = 0
            for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:  # it has just ended
                    continue
            peaks.append(total / MEGABYTE)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        stop.set()
        thread.join()


if __name__ == "__main__":
    typer.run(compare)
