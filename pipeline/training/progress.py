"""What a training shows while it runs: the bar with the time left, and what each epoch cost."""

import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psutil
import torch

from pipeline.progress import progress_bar

if TYPE_CHECKING:
    from tqdm import tqdm

T = TypeVar("T")


class Progress:
    """One bar over all epochs, so that its time left is that of the whole training; and the cost of each epoch.

    Use as a context manager.
    """

    def __init__(self, name: str, epochs: int, device: torch.device, shown: bool) -> None:
        """Open the bar.

        Args:
            name: What is trained.
            epochs: Of the whole training.
            device: What it trains on.
            shown: Whether there is a bar to see: not in processes that do not lead.
        """
        self._name, self._epochs, self._device = name, epochs, device
        self._epoch = 0
        # smoothing=0: the time left follows the mean speed, predictions between the steps included.
        self._bar: tqdm[Any] = progress_bar(desc=name, unit="step", smoothing=0, disable=not shown)
        self._began = time.perf_counter()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def begin(self, epoch: int) -> None:
        """Begin epoch ``epoch`` (from 0), whose clock runs from here."""
        self._epoch = epoch
        self._bar.set_description(f"{self._name} {epoch + 1}/{self._epochs}", refresh=False)
        self._began = time.perf_counter()

    def steps(self, batches: Iterable[T], count: int) -> Iterator[T]:
        """Pass on this epoch's ``count`` batches. As many are expected in every later epoch."""
        self._bar.total = self._bar.n + count * (self._epochs - self._epoch)
        for batch in batches:
            yield batch
            self._bar.update()

    def show(self, losses: Mapping[str, float]) -> None:
        """Show the mean losses of the epoch so far."""
        self._bar.set_postfix({name: f"{value:.3f}" for name, value in losses.items()}, refresh=False)

    def cost(self, images: int) -> dict[str, float]:
        """Return what the epoch cost that trained on ``images`` views, by metric name: seconds, images/s, MiB."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        seconds = time.perf_counter() - self._began
        return {
            "epoch_seconds": seconds,
            "images_per_second": images / seconds,
            "peak_memory_mib": peak_memory(self._device) / 2**20,
        }


def peak_memory(device: torch.device) -> int:
    """Return the most that this process has held, in bytes: on a GPU PyTorch's tensors, on the CPU all of it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        peak: int = psutil.Process().memory_info().peak_wset
        return peak
    return _own_peak() or _peak_by_usage()


def _own_peak() -> int | None:
    """Return the kernel's mark of the program itself, in bytes, which begins anew at exec; None without such."""
    status = Path("/proc/self/status")
    mark = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE) if status.is_file() else None
    return int(mark[1]) * 1024 if mark else None


def _peak_by_usage() -> int:
    """Return what getrusage says, in bytes: on Linux at least what the process that started this one held by then."""
    import resource  # Windows has no such module

    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else highest * 1024
