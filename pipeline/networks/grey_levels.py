"""Grey levels of pictures, and the tone curve that gives a target's pictures the source's grey levels.

Another camera or another light changes brightness and contrast. Histogram matching undoes this without labels: a
monotone curve maps the target's grey levels to those of the source, as in image statistics matching (Abramov et al.,
2020, "Keep it Simple"). All pictures of a target share one curve. Class shares hardly change it, because a face of any
expression has about the same grey levels.
"""

from collections.abc import Iterable
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.data.augment import grayscale

LEVELS = 256


class GreyLevels(nn.Module):
    """How often each grey level occurs in the source's pictures.

    Attributes:
        shares: shares of the levels from 0 to 255, float; their sum is 1.
    """

    shares: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shares", torch.zeros(LEVELS))

    @classmethod
    def of(cls, batches: Iterable[Tensor]) -> Self:
        """Return the grey levels of some pictures.

        Args:
            batches: float n×3×H×W in [0, 1]; at least one picture.
        """
        return cls.counted(map(count_levels, batches))

    @classmethod
    def counted(cls, parts: Iterable[Tensor]) -> Self:
        """Return the grey levels of pictures that ``count_levels`` has counted, part by part."""
        counts = torch.stack([*parts]).sum(dim=0).double()
        found = cls()
        found.shares.copy_(counts / counts.sum())
        return found

    def curve_from(self, other: "GreyLevels") -> Tensor:
        """Return the curve that maps another set's grey levels to these.

        A level is mapped to the one with the same rank: the share of darker pixels plus half the share of equal ones.

        Args:
            other: the grey levels of the other set.

        Returns:
            The new value of each level, 256 float in [0, 1], not decreasing.
        """
        mine, theirs = (levels.shares.double().cpu().numpy() for levels in (self, other))
        occurring = np.flatnonzero(mine)
        rank, wanted = np.cumsum(mine) - mine / 2, np.cumsum(theirs) - theirs / 2
        curve = np.interp(wanted, rank[occurring], occurring / (LEVELS - 1))
        return torch.from_numpy(curve).float()


def count_levels(images: Tensor) -> Tensor:
    """Count the pixels of each grey level: float n×3×H×W in [0, 1] in, 256 int64 out, on the CPU."""
    levels = (grayscale(images)[:, 0] * (LEVELS - 1)).round().long().clamp_(0, LEVELS - 1)
    return torch.bincount(levels.flatten(), minlength=LEVELS).cpu()


class ToneCurve(nn.Module):
    """Changes the tone of pictures; colours change by channel.

    Attributes:
        curve: the new value of each level from 0 to 255, 256 float in [0, 1]; linear in between. Initially the levels
            themselves.
    """

    curve: Tensor

    def __init__(self, curve: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("curve", torch.linspace(0.0, 1.0, LEVELS) if curve is None else curve)

    def forward(self, images: Tensor) -> Tensor:
        """Float N×3×H×W in [0, 1] in, the same shape out."""
        position = images.clamp(0.0, 1.0) * (LEVELS - 1)
        lower = position.floor().clamp(max=LEVELS - 2)
        index = lower.long()
        darker, lighter = self.curve[index], self.curve[index + 1]
        return darker + (position - lower) * (lighter - darker)
