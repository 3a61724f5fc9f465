"""Deep CORAL: align the covariances of both domains' class scores (Sun and Saenko, ECCV 2016 workshops)."""

import torch
from torch import Tensor, nn

from pipeline.config.methods.coral import CoralParams
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class Balance(nn.Module):
    """The weight that would have made a loss as large as the source's cross entropy in the previous epoch.

    Attributes:
        weight: a scalar, initially 1.
    """

    weight: Tensor
    sums: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(()))
        self.register_buffer("sums", torch.zeros(2))

    @torch.no_grad()
    def begin_epoch(self) -> None:
        """Set the weight from the last epoch's losses."""
        source, other = self.sums
        self.weight.copy_(torch.where(other > 0, source / other.clamp(min=1e-12), self.weight))
        self.sums.zero_()

    @torch.no_grad()
    def add(self, source: Tensor, other: Tensor) -> None:
        """Add one step's cross entropy on the source and the other loss, unweighted (scalars)."""
        self.sums += torch.stack([source, other]).to(self.sums.dtype)


class Coral(TwoDomains):
    """The paper's eq. 6, on the output of the last layer, z·Mᵀ."""

    params: CoralParams

    def own_modules(self) -> dict[str, nn.Module]:
        return {"balance": Balance()}

    def prepare_epoch(self, epoch: int) -> dict[str, float]:
        balance = self.own.get_submodule("balance")
        assert isinstance(balance, Balance)
        balance.begin_epoch()
        if self.params.weight is not None:
            balance.weight.fill_(self.params.weight)
        self._balance = balance
        return {**super().prepare_epoch(epoch), "weight": balance.weight.item()}

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        source = self.supervised(batch)
        distance = coral(self.prototypes(batch.source), self.prototypes(batch.target))
        self._balance.add(source, distance)
        return {"source": source, "domain": self._balance.weight.to(distance.dtype) * distance}


def coral(x: Tensor, y: Tensor) -> Tensor:
    """Return ‖C_x − C_y‖² / (4 d²) of two samples, with unbiased covariances (eqs. 1 to 3).

    Args:
        x: S×d float.
        y: T×d float.

    Returns:
        A scalar.
    """
    return (x.T.cov() - y.T.cov()).square().sum() / (4.0 * x.shape[1] ** 2)
