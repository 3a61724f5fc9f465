"""Compare wait policies of PyTorch's threads: seconds per training step, on a quiet machine and beside a busy process.

    python -m benchmarks.shared_machine

OpenMP's threads spin for a while before they sleep, and a spinning thread occupies a core that another process needs.
Each policy runs in a separate process, in turn, for several rounds; medians are printed. The task is stage 1 of the
demo's network on drawn stand-ins. Results: benchmarks/README.md.
"""

import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.loops import Setting
from benchmarks.training import draw_crops, in_own_process

WAYS: dict[str, dict[str, str]] = {
    "default": {},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "GOMP_SPINCOUNT=100000": {"GOMP_SPINCOUNT": "100000"},
    "GOMP_SPINCOUNT=1000000": {"GOMP_SPINCOUNT": "1000000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}


def compare(
    batch_size: Annotated[int, typer.Option(help="Pictures in a step.")] = 64,
    rounds: Annotated[int, typer.Option(help="Runs of each way.")] = 3,
    seconds: Annotated[float, typer.Option(help="Least time of a run.")] = 8.0,
) -> None:
    """Print the table."""
    print(f"{os.cpu_count()} cores, ResNet-10, stage 1, batches of {batch_size}, seconds a step\n")
    print("| threads | quiet | beside one busy process |\n| :--- | ---: | ---: |")
    found: dict[tuple[str, bool], list[float]] = {(way, busy): [] for way in WAYS for busy in (False, True)}
    with tempfile.TemporaryDirectory() as folder:
        crops = Path(folder) / "crops.npy"
        draw_crops(crops)
        setting = Setting("1", "resnet10", batch_size, "cpu", "fp32", False, str(crops))
        for _ in range(rounds):
            for way, busy in found:
                found[way, busy].append(_step(setting, WAYS[way], busy, seconds))
    for way in WAYS:
        quiet, shared = (statistics.median(found[way, busy]) for busy in (False, True))
        print(f"| {way} | {quiet:.2f} | {shared:.2f} |")


def _step(setting: Setting, environment: dict[str, str], busy: bool, seconds: float) -> float:
    """Return seconds per step."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    with _neighbour(busy):
        rate = in_own_process("project", setting, seconds, own | environment)["rate"]
    return 2 * setting.batch_size / rate  # two views a picture


@contextmanager
def _neighbour(busy: bool) -> Iterator[None]:
    """Run a busy process during the block, if ``busy``."""
    process = multiprocessing.Process(target=_compute, daemon=True)
    if busy:
        process.start()
    try:
        yield
    finally:
        if busy:
            process.kill()
            process.join()


def _compute() -> None:
    while True:
        pass


if __name__ == "__main__":
    typer.run(compare)
