"""Statistics of the source's pictures that a source model keeps, so that targets can be compared without the source."""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.labels import NUM_CLASSES


class ClassStatistics(nn.Module):
    """Class means, class shares and covariance of z over the source's training pictures (evaluation views).

    Attributes:
        means: mean z of each class, k×d, not normalised; 0 for a class without pictures.
        shares: class shares, k; their sum is 1.
        covariance: covariance of z over all pictures of all classes, d×d.
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
        """Compute the statistics of some pictures.

        Args:
            z: N×d float.
            labels: N int64, on the same device.

        Returns:
            The statistics, float32, on the same device.
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
    """Return the population covariance (divided by N) of the columns of z (N×d), d×d float64."""
    centred = z.double() - z.double().mean(dim=0)
    return centred.T @ centred / len(z)
