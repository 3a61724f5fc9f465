"""Compare the speed of ``pocan predict`` with that of detection and network alone, and measure its memory.

    python -m benchmarks.predict

Everything runs in turn in one process, for several rounds; medians are printed. The pictures are drawn stand-ins. The
network is untrained, which does not affect its speed. Memory is measured in separate processes, on a short and on a
long video.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import torch
import typer

from benchmarks.memory import peak
from benchmarks.predictors import to_rows, untrained
from pipeline.compute import device as devices
from pipeline.datasets import open_dataset
from pipeline.datasets.parts.videos import VideoWriter
from pipeline.faces.crop import crop_face
from pipeline.faces.finder import FaceFinder
from pipeline.prediction.inputs import Frame, batches, read_frames, sources
from pipeline.standins import draw

BACKBONES = ("resnet10", "resnet50")
SHORT, LONG = 100, 800
"""Number of frames of the two videos for which memory is measured."""


def main(
    rounds: Annotated[int, typer.Option(help="Runs of each part.")] = 5,
    scale: Annotated[float, typer.Option(help="Size of the drawn set.")] = 1.0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(help="Of PyTorch and OpenCV.")] = 1,
    memory_of: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Print both tables."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    if memory_of:
        to_rows(untrained({"backbone": BACKBONES[0]}, device), [str(memory_of)], drawn=False)
        print(peak())
        return
    print(f"{os.cpu_count()} cores, {threads} threads, PyTorch {torch.__version__}, device {device}\n")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        draw("sfew", root / "sfew", seed=7, scale=scale)
        _film(root / "film.mp4", root / "sfew", SHORT)
        print("| input | backbone | detection | network | both | predict | × both | with drawings |")
        print("| :--- | :--- | ---: | ---: | ---: | ---: | ---: | ---: |")
        for inputs in ("sfew", "film.mp4"):
            for backbone in BACKBONES:
                print(_row(root / inputs, backbone, device, rounds), flush=True)
        _film(root / "long.mp4", root / "sfew", LONG)
        print(f"\nPeak memory: video of {SHORT} frames {_peak(root / 'film.mp4', device):.0f} MiB, ", end="")
        print(f"of {LONG} frames {_peak(root / 'long.mp4', device):.0f} MiB")


def _film(path: Path, pictures: Path, count: int) -> None:
    """Write a video of the drawn pictures, ten frames each."""
    dataset = open_dataset("sfew", pictures)
    samples = dataset.samples()
    first = dataset.read(samples[0])
    writer = VideoWriter(path, 25.0, first.shape[1], first.shape[0])
    for index in range(count):
        picture = dataset.read(samples[index // 10 % len(samples)])
        writer.write(np.asarray(cv2.resize(picture, first.shape[1::-1]), dtype=np.uint8))
    writer.close()


def _row(inputs: Path, backbone: str, device: str, rounds: int) -> str:
    """Return milliseconds per picture."""
    predictor = untrained({"backbone": backbone}, device)
    held = list(batches(_frames(inputs), predictor.faces.batch_size))
    count = sum(map(len, held))
    images = [[frame.image for frame in batch] for batch in held]
    finder = FaceFinder(predictor.faces, devices.pick(device))
    found = [finder.find_all(batch) for batch in images]
    crops = [
        [crop_face(image, face, predictor.faces) for image, faces in zip(*of_batch, strict=True) for face in faces]
        for of_batch in zip(images, found, strict=True)
    ]
    parts: dict[str, Callable[[], object]] = {
        "detection": lambda: [finder.find_all(batch) for batch in images],
        "network": lambda: [predictor.classify(batch) for batch in crops],
        "predict": lambda: to_rows(predictor, [str(inputs)], drawn=False),
        "drawn": lambda: to_rows(predictor, [str(inputs)], drawn=True),
    }
    times: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, part in parts.items():
            start = time.perf_counter()
            part()
            times[name].append(1000 * (time.perf_counter() - start) / count)
    both = [one + other for one, other in zip(times["detection"], times["network"], strict=True)]
    ratio = statistics.median(whole / alone for whole, alone in zip(times["predict"], both, strict=True))
    detection, network, whole, drawn = (statistics.median(values) for values in times.values())
    cells = (detection, network, statistics.median(both), whole)
    shown = " | ".join(f"{value:.1f} ms" for value in cells)
    faces = sum(map(len, crops))
    return f"| {inputs.name}: {count} pictures, {faces} faces | {backbone} | {shown} | {ratio:.2f} | {drawn:.1f} ms |"


def _frames(inputs: Path) -> Iterator[Frame]:
    return read_frames(sources([str(inputs)]), 1, print)


def _peak(video: Path, device: str) -> float:
    command = [sys.executable, "-m", "benchmarks.predict", "--device", device, "--memory-of", str(video)]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1])


if __name__ == "__main__":
    typer.run(main)
