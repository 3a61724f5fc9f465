"""Crops or features on the training device, and the order of the pictures in an epoch."""

import hashlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.compute.device import upload
from pipeline.config.learning import AugmentParams
from pipeline.data import augment
from pipeline.data.crops import CROP_SIZE
from pipeline.errors import TrainingError

T = TypeVar("T")

RESIDENT_SHARE = 0.4
"""Maximum share of the GPU's free memory for keeping a whole array there."""

AT_ONCE = 1024
"""Rows that are read into memory at once on their way to the GPU."""

AHEAD = 2
"""Number of batches that are prepared ahead of the training step."""


class DeviceRows:
    """The rows of an array as device tensors.

    If the array fits on the GPU, it is uploaded once. Otherwise rows are read from the memory map batch by batch.

    Args:
        array: N×…, usually a memory map.
        device: device of the tensors.

    Attributes:
        count: N.
        device: device of the tensors.
    """

    def __init__(self, array: NDArray[Any], device: torch.device) -> None:
        self._array = array
        self.count = len(array)
        self.device = device
        self._resident: Tensor | None = None
        if device.type == "cuda" and array.nbytes <= RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]:
            self._resident = torch.empty(array.shape, dtype=torch.from_numpy(array[:0]).dtype, device=device)
            for start in range(0, len(array), AT_ONCE):
                part = torch.from_numpy(np.array(array[start : start + AT_ONCE]))
                self._resident[start : start + AT_ONCE] = part

    def fetch(self, rows: Tensor) -> Tensor:
        """Return some rows as they are stored.

        Args:
            rows: int64, on the CPU.

        Returns:
            len(rows)×…, on the device.
        """
        if self._resident is not None:
            return self._resident[upload(rows, self.device)]
        return upload(torch.from_numpy(self._array[rows.numpy()]), self.device)


class NetworkInputs(ABC):
    """The pictures of one domain as network inputs: crops for f and g, or features for g alone.

    Attributes:
        count: number of pictures.
        device: device of the tensors that the methods return.
    """

    count: int
    device: torch.device

    @abstractmethod
    def batch(self, rows: Tensor) -> Tensor:
        """Return what is stored of some pictures.

        Args:
            rows: int64, on the CPU.

        Returns:
            len(rows)×…, on the device.
        """

    @abstractmethod
    def evaluation_view(self, batch: Tensor, eval_crop: float) -> Tensor:
        """Return the evaluation views of a batch.

        Args:
            batch: a result of ``batch``, n×….
            eval_crop: side of the view, as a share of the crop's side.

        Returns:
            Network inputs, float n×….
        """

    @abstractmethod
    def draw(self, views: int, count: int, generator: torch.Generator) -> Tensor:
        """Draw the random numbers of training views: views×count×…, on the CPU."""

    @abstractmethod
    def training_views(self, batch: Tensor, draws: Tensor, params: AugmentParams) -> Tensor:
        """Return training views of a batch.

        Args:
            batch: a result of ``batch``, b×….
            draws: views·b×…: the random numbers of the first views, then those of the second views.
            params: parameters of the views.

        Returns:
            Network inputs, float views·b×…, in the order of ``draws``.
        """

    @abstractmethod
    def empty_batch(self) -> Tensor:
        """Return an empty batch of network inputs."""


class DeviceCrops(NetworkInputs):
    """The crops of a store.

    Args:
        images: uint8 N×112×112×3, usually a memory map.
        device: device of the tensors.
    """

    def __init__(self, images: NDArray[np.uint8], device: torch.device) -> None:
        self._rows = DeviceRows(images, device)
        self.count, self.device = len(images), device

    def batch(self, rows: Tensor) -> Tensor:
        """Return the crops of some rows.

        Args:
            rows: int64, on the CPU.

        Returns:
            uint8 len(rows)×3×112×112, on the device.
        """
        return self._rows.fetch(rows).permute(0, 3, 1, 2)

    def evaluation_view(self, batch: Tensor, eval_crop: float) -> Tensor:
        return augment.evaluation_view(augment.to_float(batch), eval_crop)

    def draw(self, views: int, count: int, generator: torch.Generator) -> Tensor:
        draws: Tensor = augment.draw(views * count, generator).unflatten(0, (views, count))
        return draws

    def training_views(self, batch: Tensor, draws: Tensor, params: AugmentParams) -> Tensor:
        views = len(draws) // max(len(batch), 1)
        return augment.training_view(augment.to_float(batch.repeat(views, 1, 1, 1)), draws, params)

    def empty_batch(self) -> Tensor:
        return torch.empty(0, 3, CROP_SIZE, CROP_SIZE, device=self.device)


class DeviceFeatures(NetworkInputs):
    """Features f(x) that were computed once (``pipeline.networks.features``), as inputs of g.

    Args:
        features: float N×(1 + views)×D, usually a memory map: features of the evaluation view and of training views.
        device: device of the tensors.
    """

    def __init__(self, features: NDArray[np.float32], device: torch.device) -> None:
        self._rows = DeviceRows(features, device)
        self._views, self._dim = features.shape[1:]
        self.count, self.device = len(features), device

    def batch(self, rows: Tensor) -> Tensor:
        return self._rows.fetch(rows)

    def evaluation_view(self, batch: Tensor, eval_crop: float) -> Tensor:
        return batch[:, 0]

    def draw(self, views: int, count: int, generator: torch.Generator) -> Tensor:
        """Draw which stored views of each picture to use: views×count int64, without repeating a view of a picture.

        Raises:
            TrainingError: fewer views are stored.
        """
        if views > self._views:
            raise TrainingError(
                f"the method needs {views} views of each picture, but only {self._views} are stored: raise "
                "adapt.source_views and adapt.target_views"
            )
        return torch.rand(count, self._views, generator=generator).argsort(dim=1)[:, :views].T

    def training_views(self, batch: Tensor, draws: Tensor, params: AugmentParams) -> Tensor:
        pictures = torch.arange(len(batch), device=batch.device).repeat(len(draws) // max(len(batch), 1))
        return batch[pictures, upload(draws, self.device)]

    def empty_batch(self) -> Tensor:
        return torch.empty(0, self._dim, device=self.device)

    @classmethod
    def empty_like(cls, other: "DeviceFeatures") -> Self:
        """Return features of no pictures, in the shape of ``other``."""
        return cls(np.empty((0, other._views, other._dim), np.float32), other.device)


def prefetched(batches: Iterator[T]) -> Iterator[T]:
    """Yield the same batches in the same order, but prepare them in a thread while earlier ones are used.

    The thread computes on one core. Otherwise its first large operation would give it an OpenMP pool of its own. With
    more such threads than cores, all of them sleep at every barrier: training steps on two cores would take 1.3 times
    as long.
    """
    end = object()
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as reader:
        reader.submit(_on_one_core).result()
        torch.set_num_threads(threads)  # later threads inherit the last number that was set
        pending = deque(reader.submit(next, batches, end) for _ in range(AHEAD))
        while (batch := pending.popleft().result()) is not end:
            pending.append(reader.submit(next, batches, end))
            yield cast(T, batch)


def _on_one_core() -> None:
    """Limit PyTorch to one core in this thread. The limit becomes permanent when it is first read."""
    torch.set_num_threads(1)
    torch.get_num_threads()


def generator_for(seed: int, purpose: str, epoch: int) -> torch.Generator:
    """Return the random generator of one epoch. It depends on nothing else, so a resumed run draws the same numbers."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{epoch}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def shuffled_batches(rows: Tensor, size: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield batches of rows without replacement. When a permutation is used up, a new one begins.

    The last, incomplete batch of a permutation is dropped, so no batch contains a row twice. If there are fewer rows
    than ``size``, every batch is a permutation of all rows.

    Args:
        rows: int64.
        size: size of a batch.
        steps: number of batches.
        generator: draws the permutations.

    Yields:
        int64, ``size`` rows.
    """
    size = min(size, len(rows))
    pending = rows[:0]
    for _ in range(steps):
        if len(pending) < size or size == 0:
            pending = rows[torch.randperm(len(rows), generator=generator)]
        yield pending[:size]
        pending = pending[size:]


def balanced_batches(
    rows: Tensor, labels: Tensor, size: int, steps: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """Yield batches of rows in which all classes are equally frequent.

    The rows of each class come in a random order of their own, shuffled again when it is used up. So if a
    class has fewer pictures than its part of a batch, the batch contains some of them twice.

    Args:
        rows: int64.
        labels: the label of each row, int64.
        size: size of a batch.
        steps: number of batches.
        generator: draws the orders.

    Yields:
        int64, ``size`` rows, or ``len(rows)`` if that is less.
    """
    classes = labels.unique()
    orders = [_endless_shuffle(rows[labels == label], generator) for label in classes]
    next_class = _endless_shuffle(torch.arange(len(classes)), generator)
    for _ in range(steps):
        yield torch.stack([next(orders[int(next(next_class))]) for _ in range(min(size, len(rows)))])


def _endless_shuffle(rows: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield the rows one by one in a random order, then in another order, without end."""
    while True:
        yield from rows[torch.randperm(len(rows), generator=generator)]
