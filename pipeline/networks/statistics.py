"""What a source model remembers of its pictures, so that a target can be compared with them without seeing them."""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.labels import NUM_CLASSES


class ClassStatistics(nn.Module):
    """Mean, share and covariance of z over the source's training pictures, in their evaluation views.

    Attributes:
        means: k×d, the mean z of each class, not made a unit vector again; 0 of a class that does not occur.
        shares: k, how frequent each class is; they sum to 1.
        covariance: d×d, of z over all pictures, whatever their class.
    """

    means: Tensor
    shares: Tensor
    covariance: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(NUM_CLASSES, dim))
        self.register_buffer("shares", torch.zeros(NUM_CLASSES))
        self.register_buffer("covariance", torch.zeros(dim, dim))

    @classmethod
    def of(cls, z: Tensor, labels: Tensor) -> Self:
        """Take the statistics of some pictures.

        Args:
            z: N×d float.
            labels: N int64, on the same device.

        Returns:
            They, in float32 and on that device.
        """
        found = cls(z.shape[1]).to(z.device)
        members = F.one_hot(labels, NUM_CLASSES).double()
        counts = members.sum(dim=0)
        found.means.copy_(members.T @ z.double() / counts.clamp(min=1.0)[:, None])
        found.shares.copy_(counts / counts.sum())
        found.covariance.copy_(covariance(z))
        return found

    def mean(self) -> Tensor:
        """Return the mean of z over all pictures, d float."""
        return self.shares @ self.means


def covariance(z: Tensor) -> Tensor:
    """Covariance of the columns of z (N×d), d×d float64: over N, as it is of all pictures that there are."""
    centred = z.double() - z.double().mean(dim=0)
    return centred.T @ centred / len(z)
