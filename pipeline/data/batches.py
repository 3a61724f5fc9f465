"""Crops on their way to the training device, and the order in which an epoch visits them."""

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.compute.device import upload

T = TypeVar("T")

RESIDENT_SHARE = 0.4
"""A crop array is kept on the GPU when it takes at most this share of the memory that is free there."""

AT_ONCE = 1024
"""Crops that are read into memory at a time on their way to the GPU."""

AHEAD = 2
"""Batches that are made while an earlier one is trained on."""


class DeviceCrops:
    """The crops of a store as device tensors, fetched by row.

    On a GPU with room the whole array is uploaded once; otherwise rows are read from the memory map batch by batch.

    Args:
        images: uint8 N×112×112×3, usually a memory map.
        device: where the tensors are wanted.

    Attributes:
        count: N.
        device: as above.
    """

    def __init__(self, images: NDArray[np.uint8], device: torch.device) -> None:
        self._images = images
        self.count = len(images)
        self.device = device
        self._resident: Tensor | None = None
        if device.type == "cuda" and images.nbytes <= RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]:
            self._resident = torch.empty(images.shape, dtype=torch.uint8, device=device)
            for start in range(0, len(images), AT_ONCE):
                part = torch.from_numpy(np.array(images[start : start + AT_ONCE]))
                self._resident[start : start + AT_ONCE] = part

    def batch(self, rows: Tensor) -> Tensor:
        """The crops of some rows.

        Args:
            rows: int64, on the CPU.

        Returns:
            uint8 len(rows)×3×112×112 on the device.
        """
        if self._resident is not None:
            crops = self._resident[upload(rows, self.device)]
        else:
            crops = upload(torch.from_numpy(self._images[rows.numpy()]), self.device)
        return crops.permute(0, 3, 1, 2)


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
