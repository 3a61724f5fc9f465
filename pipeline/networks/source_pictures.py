"""The source's pictures to which the restoration of a target's features is fitted, and samples of pictures."""

import hashlib
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.data.batches import generator_for
from pipeline.data.prepared import PreparedData

PICTURES = 2048
"""What the encoder takes over is computed from at most this many pictures of the target and of the source."""


@dataclass(frozen=True, eq=False)
class SourcePictures:
    """The source's training pictures.

    Attributes:
        images: the source's crops, uint8 N×112×112×3, usually a memory map.
        crops: digest of the crops.
        rows: the training rows, int64.
    """

    images: NDArray[np.uint8]
    crops: str
    rows: Tensor

    @classmethod
    def of(cls, data: PreparedData) -> Self:
        """Return the training pictures of a set."""
        return cls(data.store.images, data.store.description["digest"], data.train_rows)

    def described(self) -> dict[str, str]:
        """Return what identifies the pictures, as JSON."""
        return {"crops": self.crops, "rows": digest_rows(self.rows)}

    def sample(self) -> NDArray[np.uint8]:
        """Return a sample of the pictures, uint8 n×112×112×3."""
        found: NDArray[np.uint8] = self.images[sample(self.rows, "restoration").sort().values.numpy()]
        return found


def digest_rows(rows: Tensor) -> str:
    """Return the SHA-256 of row numbers, int64."""
    return hashlib.sha256(rows.numpy().tobytes()).hexdigest()


def sample(rows: Tensor, purpose: str, count: int = PICTURES) -> Tensor:
    """Return at most ``count`` of the rows in random order; always the same for the same purpose."""
    return rows[torch.randperm(len(rows), generator=generator_for(0, purpose, 0))[:count]]
