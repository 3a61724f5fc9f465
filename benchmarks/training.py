"""Measure training speed, in images per second: this project, a plain loop, and only the network on a fixed batch.

    python -m benchmarks.training

Each loop runs in a separate process, in turn, for several rounds. The best round is printed, because other work on the
machine can only slow a run down. Images are the views on which f and g are trained: two per picture, in stage 2 of both
domains. The pictures are drawn stand-ins, as crops in memory. Results: benchmarks/README.md.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer

from benchmarks.loops import CONTESTANTS, Setting
from pipeline.config.load import load
from pipeline.data.crops import CROP_SIZE
from pipeline.datasets import open_dataset
from pipeline.standins import draw
from pipeline.training.progress import peak_memory

STAGES = {"1": "Stage 1", "2": "Stage 2"}
TITLES = {
    "plain": "plain loop: DataLoader, torchvision's transforms of single images, fp32",
    "project": "this project",
    "bare": "bare network on one fixed batch (the ceiling)",
}
PAPER_VIEWS = 300 * 12_271 * 2
"""Views in the paper's stage 1: epochs, RAF-DB's training pictures, two views each."""


def compare(
    backbones: Annotated[list[str], typer.Option("--backbone", help="May be given several times.")] = [  # noqa: B006
        "resnet10",
        "resnet18",
        "resnet50",
    ],
    batch_size: Annotated[int, typer.Option(help="Pictures of a domain in a step.")] = 64,
    rounds: Annotated[int, typer.Option(help="Runs of each contestant.")] = 5,
    seconds: Annotated[float, typer.Option(help="Least time of a run.")] = 10.0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    precision: Annotated[str, typer.Option(help="auto, fp32 or bf16; the plain loop's is always fp32.")] = "auto",
    compiled: Annotated[bool, typer.Option("--compile", help="compute.compile: true.")] = False,
) -> None:
    """Print a table for each stage and network."""
    print(f"{os.cpu_count()} cores, PyTorch {torch.__version__}, {_hardware(device)}, batches of {batch_size}\n")
    with tempfile.TemporaryDirectory() as folder:
        crops = Path(folder) / "crops.npy"
        draw_crops(crops)
        for stage, title in STAGES.items():
            for backbone in backbones:
                setting = Setting(stage, backbone, batch_size, device, precision, compiled, str(crops))
                found: dict[str, list[dict[str, float]]] = {name: [] for name in TITLES}
                for _ in range(rounds):
                    for name in found:
                        found[name].append(in_own_process(name, setting, seconds))
                print(f"{title}, {backbone}\n")
                _print_table(found, stage)


def _print_table(found: dict[str, list[dict[str, float]]], stage: str) -> None:
    rates = {name: max(run["rate"] for run in runs) for name, runs in found.items()}
    print("| loop | images/s | × plain | × ceiling | peak memory, MiB |\n| :--- | ---: | ---: | ---: | ---: |")
    for name, rate in rates.items():
        memory = max(run["memory"] for run in found[name]) / 2**20
        against = f"{rate / rates['plain']:.2f} | {rate / rates['bare']:.2f}"
        print(f"| {TITLES[name]} | {rate:.1f} | {against} | {memory:.0f} |")
    if stage == "1":
        print(f"\nThe paper's whole stage 1 would take {PAPER_VIEWS / rates['project'] / 3600:.1f} h.")
    print(flush=True)


def in_own_process(
    name: str, setting: Setting, seconds: float, environment: dict[str, str] | None = None
) -> dict[str, float]:
    """Run ``measure`` in a separate process; environment: its variables, None: those of this process."""
    command = [sys.executable, "-m", "benchmarks.training", "measure", name, json.dumps(vars(setting)), str(seconds)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if result.returncode:
        raise SystemExit(result.stderr[-3000:])
    found: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return found


def measure(name: str, setting: str, seconds: float) -> None:
    """Run one loop and print images per second and peak memory as JSON."""
    given = Setting(**json.loads(setting))
    device = torch.device(given.device)
    images = np.load(given.crops, mmap_mode="r")
    rate = _rate(CONTESTANTS[name, given.stage](given, images, load()), device, seconds)
    print(json.dumps({"rate": rate, "memory": peak_memory(device)}))


def profile(
    name: Annotated[str, typer.Argument(help="plain, project or bare.")] = "project",
    stage: Annotated[str, typer.Option(help="1 or 2.")] = "1",
    backbone: Annotated[str, typer.Option(help="As model.backbone.")] = "resnet50",
    batch_size: Annotated[int, typer.Option(help="Pictures of a domain in a step.")] = 64,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    precision: Annotated[str, typer.Option(help="auto, fp32 or bf16.")] = "auto",
) -> None:
    """Profile the steps of one loop: print the twenty most expensive operations."""
    with tempfile.TemporaryDirectory() as folder:
        crops = Path(folder) / "crops.npy"
        draw_crops(crops)
        setting = Setting(stage, backbone, batch_size, device, precision, False, str(crops))
        steps = CONTESTANTS[name, stage](setting, np.load(crops, mmap_mode="r"), load())
        _take(steps, 3)
        with torch.profiler.profile() as profiler:
            _take(steps, 5)
    order = "self_cuda_time_total" if device == "cuda" else "self_cpu_time_total"
    print(profiler.key_averages().table(sort_by=order, row_limit=20, max_name_column_width=40))


def _rate(steps: Iterator[int], device: torch.device, seconds: float) -> float:
    """Return images per second; ``steps`` makes one step per item, the number of images."""
    synchronize: Callable[[], Any] = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    _take(steps, 2)
    synchronize()
    images, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        images += _take(steps, 3)
        synchronize()
    return images / (time.perf_counter() - began)


def _take(steps: Iterator[int], count: int) -> int:
    return sum(next(steps) for _ in range(count))


def _hardware(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else torch.backends.cpu.get_cpu_capability()


def draw_crops(path: Path) -> None:
    """Write crops of drawn faces: uint8 N×112×112×3."""
    root = path.parent / "rafdb"
    draw("rafdb", root, seed=7, scale=0.5)
    dataset = open_dataset("rafdb", root)
    size = (CROP_SIZE, CROP_SIZE)
    np.save(path, np.stack([cv2.resize(dataset.read(sample), size) for sample in dataset.samples()]))


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(compare)
    app.command(hidden=True)(measure)
    app.command()(profile)
    app()
