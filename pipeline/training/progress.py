"""What a training shows while it runs: the bar with the time left, and what each epoch cost."""

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
    """One bar over all epochs, so that its time left is that of the whole training; and the cost of each epoch.

    Use as a context manager.
    """

    def __init__(self, name: str, epochs: int, device: torch.device, visible: bool) -> None:
        """Open the bar.

        Args:
            name: what is trained.
            epochs: of the whole training.
            device: what it trains on.
            visible: whether there is a bar to see: not in processes that do not lead.
        """
        self._name, self._epochs, self._device = name, epochs, device
        self._epoch = 0
        # smoothing=0: the time left follows the mean speed, predictions between the steps included.
        self._bar: tqdm[Any] = progress_bar(desc=name, unit="step", smoothing=0, disable=not visible)
        self._began = time.perf_counter()
        self._pace = Pace() if visible and device.type == "cpu" else None

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
        """Return what the epoch cost that trained on ``images`` views, by metric name: seconds, images/s, MiB."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        seconds = time.perf_counter() - self._began
        return {
            "epoch_seconds": seconds,
            "images_per_second": images / seconds,
            "peak_memory_mib": peak_memory(self._device) / 2**20,
        }


class Pace:
    """Notices, once, that steps take several times as long as they did."""

    WINDOW = 8
    """Steps whose median is compared."""
    FACTOR = 3.0
    LEAST = 0.1
    """Seconds of a step below which nothing is said: short steps vary by themselves."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=self.WINDOW)
        self._best = math.inf
        self._reported = False

    def slowdown(self, seconds: float) -> str | None:
        """Take in a step; returns what to say of it, the first time that there is something."""
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
