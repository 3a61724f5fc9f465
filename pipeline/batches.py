"""Crops on their way to the training device, and the order in which an epoch visits them."""

import hashlib
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

RESIDENT_SHARE = 0.4
"""A crop array is kept on the GPU when it takes at most this share of the memory that is free there."""


class DeviceCrops:
    """The crops of a store as device tensors, fetched by row.

    On a GPU with room the whole array is uploaded once; otherwise rows are read from the memory map batch by batch.
    """

    def __init__(self, images: NDArray[np.uint8], device: torch.device) -> None:
        """``images``: uint8 N×112×112×3, usually a memory map."""
        self._images = images
        self.device = device
        self._resident: Tensor | None = None
        if device.type == "cuda" and images.nbytes <= RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]:
            self._resident = torch.from_numpy(np.array(images)).to(device)

    def batch(self, rows: Tensor) -> Tensor:
        """The crops of ``rows`` (int64, on the CPU): uint8 len(rows)×3×112×112 on the device."""
        if self._resident is not None:
            crops = self._resident[rows.to(self.device)]
        else:
            crops = torch.from_numpy(self._images[rows.numpy()]).to(self.device)
        return crops.permute(0, 3, 1, 2)


def generator_for(seed: int, purpose: str, epoch: int) -> torch.Generator:
    """The random stream of one epoch. It depends on nothing that ran before, so a resumed run draws the same."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{epoch}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def shuffled_batches(rows: Tensor, size: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """``steps`` batches of ``size`` rows without replacement; a new permutation begins when one is used up.

    A permutation's last, incomplete batch is dropped, so no batch holds a row twice. Fewer rows than ``size``: every
    batch is a permutation of all rows.
    """
    size = min(size, len(rows))
    pending = rows[:0]
    for _ in range(steps):
        if len(pending) < size or size == 0:
            pending = rows[torch.randperm(len(rows), generator=generator)]
        yield pending[:size]
        pending = pending[size:]
