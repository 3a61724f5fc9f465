"""What a training shows: the progress bar with the remaining time, and the cost of each epoch."""

import math
import re
import statistics
import sys
import time
from collections import deque
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
    """A progress bar over all epochs, which shows the remaining time of the whole training, and the cost of each epoch.

    Use it as a context manager.
    """

    def __init__(self, name: str, epochs: int, device: torch.device, visible: bool) -> None:
        """Open the bar.

        Args:
            name: name of the training.
            epochs: number of epochs.
            device: device of the training.
            visible: whether to show the bar; only the team's leader does.
        """
        self._name, self._epochs, self._device = name, epochs, device
        self._epoch = 0
        # smoothing=0: the remaining time is estimated from the mean speed, including predictions between steps.
        self._bar: tqdm[Any] = progress_bar(desc=name, unit="step", smoothing=0, disable=not visible)
        self._began = time.perf_counter()
        self._pace = Pace() if visible and device.type == "cpu" else None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def begin(self, epoch: int) -> None:
        """Begin epoch ``epoch`` (from 0) and start its clock."""
        self._epoch = epoch
        self._bar.set_description(f"{self._name} {epoch + 1}/{self._epochs}", refresh=False)
        self._began = time.perf_counter()

    def steps(self, batches: Iterable[T], count: int) -> Iterator[T]:
        """Yield the ``count`` batches of this epoch. The bar expects as many in every later epoch."""
        self._bar.total = self._bar.n + count * (self._epochs - self._epoch)
        for batch in batches:
            began = time.perf_counter()
            yield batch
            self._bar.update()
            if self._pace and (slow := self._pace.slowdown(time.perf_counter() - began)):
                self._bar.write(
                    f"{self._name}: {slow}. Another process may be using the cores. Beside one, OMP_NUM_THREADS=1 is "
                    "faster: threads then never wait for a core (results differ in their last digits)"
                )

    def show(self, losses: Mapping[str, float]) -> None:
        """Show the mean losses of the epoch so far."""
        self._bar.set_postfix({name: f"{value:.3f}" for name, value in losses.items()}, refresh=False)

    def cost(self, images: int) -> dict[str, float]:
        """Return the cost of the epoch by metric name: seconds, images/s, MiB.

        Args:
            images: number of views trained on.
        """
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        seconds = time.perf_counter() - self._began
        return {
            "epoch_seconds": seconds,
            "images_per_second": images / seconds,
            "peak_memory_mib": peak_memory(self._device) / 2**20,
        }


class Pace:
    """Detects, once, that steps take several times as long as before."""

    WINDOW = 8
    """Number of steps whose median is compared."""
    FACTOR = 3.0
    LEAST = 0.1
    """Minimum duration of a step, in seconds, for a report: short steps vary anyway."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=self.WINDOW)
        self._best = math.inf
        self._reported = False

    def slowdown(self, seconds: float) -> str | None:
        """Record the duration of a step. The first time that steps have become slow, return a message about it."""
        self._recent.append(seconds)
        if self._reported or len(self._recent) < self.WINDOW:
            return None
        now = statistics.median(self._recent)
        self._best = min(self._best, now)
        if now < self.LEAST or now < self.FACTOR * self._best:
            return None
        self._reported = True
        return f"a step takes {now:.1f} s, {now / self._best:.0f} times as long as before"


def peak_memory(device: torch.device) -> int:
    """Return this process's peak memory in bytes: on a GPU of PyTorch's tensors, on the CPU of the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        peak: int = psutil.Process().memory_info().peak_wset
        return peak
    return _own_peak() or _peak_by_usage()


def _own_peak() -> int | None:
    """Return Linux's record of this program's peak memory (VmHWM, reset at exec), in bytes; None on other systems."""
    status = Path("/proc/self/status")
    mark = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE) if status.is_file() else None
    return int(mark[1]) * 1024 if mark else None


def _peak_by_usage() -> int:
    """Return getrusage's peak memory in bytes. On Linux it includes the parent's memory at the start."""
    import resource  # Windows has no such module

    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else highest * 1024
