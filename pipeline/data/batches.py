"""Crops or features on their way to the training device, and the order in which an epoch visits them."""

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
"""An array is kept on the GPU when it takes at most this share of the memory that is free there."""

AT_ONCE = 1024
"""Rows that are read into memory at a time on their way to the GPU."""

AHEAD = 2
"""Batches that are made while an earlier one is trained on."""


class DeviceRows:
    """The rows of an array as device tensors.

    On a GPU with room the whole array is uploaded once; otherwise rows are read from the memory map batch by batch.

    Args:
        array: N×…, usually a memory map.
        device: where the tensors are wanted.

    Attributes:
        count: N.
        device: as above.
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
        """Rows as they are stored.

        Args:
            rows: int64, on the CPU.

        Returns:
            len(rows)×… on the device.
        """
        if self._resident is not None:
            return self._resident[upload(rows, self.device)]
        return upload(torch.from_numpy(self._array[rows.numpy()]), self.device)


class NetworkInputs(ABC):
    """The pictures of one domain, as what a network takes: crops for f and g, or features for g alone.

    Attributes:
        count: of the pictures.
        device: where what is fetched lies.
    """

    count: int
    device: torch.device

    @abstractmethod
    def batch(self, rows: Tensor) -> Tensor:
        """What is stored of some pictures.

        Args:
            rows: int64, on the CPU.

        Returns:
            len(rows)×… on the device.
        """

    @abstractmethod
    def evaluation_view(self, batch: Tensor, eval_crop: float) -> Tensor:
        """What is predicted from.

        Args:
            batch: of ``batch``, n×….
            eval_crop: the view's side, as a share of the crop's.

        Returns:
            Float n×…, as the network takes it.
        """

    @abstractmethod
    def draw(self, views: int, count: int, generator: torch.Generator) -> Tensor:
        """What training views leave to chance: views×count×…, on the CPU."""

    @abstractmethod
    def training_views(self, batch: Tensor, draws: Tensor, params: AugmentParams) -> Tensor:
        """Training views of a batch.

        Args:
            batch: of ``batch``, b×….
            draws: views·b×…: those of the first views, then those of the second.
            params: of the views.

        Returns:
            Float views·b×…, in the order of ``draws``.
        """

    @abstractmethod
    def nothing(self) -> Tensor:
        """A batch without pictures, as the network takes it."""


class DeviceCrops(NetworkInputs):
    """The crops of a store.

    Args:
        images: uint8 N×112×112×3, usually a memory map.
        device: where the tensors are wanted.
    """

    def __init__(self, images: NDArray[np.uint8], device: torch.device) -> None:
        self._rows = DeviceRows(images, device)
        self.count, self.device = len(images), device

    def batch(self, rows: Tensor) -> Tensor:
        """The crops of some rows.

        Args:
            rows: int64, on the CPU.

        Returns:
            uint8 len(rows)×3×112×112 on the device.
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

    def nothing(self) -> Tensor:
        return torch.empty(0, 3, CROP_SIZE, CROP_SIZE, device=self.device)


class DeviceFeatures(NetworkInputs):
    """Features f(x) that were computed once (``pipeline.networks.features``): g alone is run on them.

    Args:
        features: float N×(1 + views)×D, usually a memory map: of the evaluation view and of training views.
        device: where the tensors are wanted.
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
        """Which of the stored views of each picture are taken: views×count int64, no view of a picture twice.

        Raises:
            TrainingError: fewer views are stored than are wanted.
        """
        if views > self._views:
            raise TrainingError(
                f"{views} views of each picture are wanted, {self._views} are stored: raise adapt.source_views and "
                "adapt.target_views"
            )
        return torch.rand(count, self._views, generator=generator).argsort(dim=1)[:, :views].T

    def training_views(self, batch: Tensor, draws: Tensor, params: AugmentParams) -> Tensor:
        pictures = torch.arange(len(batch), device=batch.device).repeat(len(draws) // max(len(batch), 1))
        return batch[pictures, upload(draws, self.device)]

    def nothing(self) -> Tensor:
        return torch.empty(0, self._dim, device=self.device)

    @classmethod
    def none_like(cls, other: "DeviceFeatures") -> Self:
        """Features of no picture, as many of each as ``other`` has."""
        return cls(np.empty((0, other._views, other._dim), np.float32), other.device)


def prefetched(batches: Iterator[T]) -> Iterator[T]:
    """The same batches in the same order, made in a thread while earlier ones are used.

    That thread computes on one core. OpenMP would give it a pool of its own at its first large operation, and once
    there are more such threads than cores, all of them sleep at every barrier: a training step on two cores would take
    1.3 times as long from then on.
    """
    end = object()
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as reader:
        reader.submit(_on_one_core).result()
        torch.set_num_threads(threads)  # for threads that begin later, which take over the number that was set last
        pending = deque(reader.submit(next, batches, end) for _ in range(AHEAD))
        while (batch := pending.popleft().result()) is not end:
            pending.append(reader.submit(next, batches, end))
            yield cast(T, batch)


def _on_one_core() -> None:
    """Let PyTorch compute on one core in this thread, for good: the number is fixed once it was asked for."""
    torch.set_num_threads(1)
    torch.get_num_threads()


def generator_for(seed: int, purpose: str, epoch: int) -> torch.Generator:
    """The random stream of one epoch. It depends on nothing that ran before, so a resumed run draws the same."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{epoch}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def shuffled_batches(rows: Tensor, size: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of rows without replacement; a new permutation begins when one is used up.

    A permutation's last, incomplete batch is dropped, so no batch holds a row twice. Where there are fewer rows than
    ``size``, every batch is a permutation of all rows.

    Args:
        rows: int64.
        size: of a batch.
        steps: how many batches.
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
    """Batches of rows in which every class that occurs comes equally often.

    Each class is gone through in an order of its own, shuffled again when it is used up; so a class smaller than its
    part of a batch has pictures in it twice.

    Args:
        rows: int64.
        labels: int64, one a row of ``rows``.
        size: of a batch.
        steps: how many batches.
        generator: draws the orders.

    Yields:
        int64, ``size`` rows, or as many as there are where these are fewer.
    """
    classes = labels.unique()
    decks = [_dealt(rows[labels == label], generator) for label in classes]
    next_class = _dealt(torch.arange(len(classes)), generator)
    for _ in range(steps):
        yield torch.stack([next(decks[int(next(next_class))]) for _ in range(min(size, len(rows)))])


def _dealt(rows: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield the rows one by one in a random order, then in another one, without end."""
    while True:
        yield from rows[torch.randperm(len(rows), generator=generator)]
