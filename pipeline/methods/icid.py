"""ICID: fused intra-class common and inter-class distinct features, without the target (Ji et al., 2019)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.config.methods.icid import IcidParams
from pipeline.losses.classification import weighted_cross_entropy
from pipeline.methods.parts.two_domains import Domains, TwoDomains
from pipeline.networks.network import Prototypes


class Icid(TwoDomains):
    """Two linear channels of z, d to d, and a prototype matrix on their mean, the fused features.

    Channels start as the identity and matrices as M_s, so training starts from the source model. Everything is linear
    in z, so M, which predicts, is the matrix of the fused features times the mean of the channels.
    """

    params: IcidParams

    def own_modules(self) -> dict[str, nn.Module]:
        dim = self.network.head.dim
        channels = {name: nn.Linear(dim, dim, bias=False) for name in ("common", "distinct")}
        matrices = {name: Prototypes(dim) for name in ("of_distinct", "of_fused")}
        with torch.no_grad():
            for channel in channels.values():
                channel.weight.copy_(torch.eye(dim))
            for prototypes in matrices.values():
                prototypes.matrix.copy_(self.prototypes.matrix.cpu())
        return {**channels, **matrices, "pair": nn.Linear(dim, 1)}

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        common, distinct = self.own["common"](batch.source), self.own["distinct"](batch.source)
        different, alike = pairs(common, batch.labels)
        verified = F.binary_cross_entropy_with_logits(self.own["pair"](different).squeeze(1), alike)
        return {
            "source": self._cross_entropy("of_fused", 0.5 * (common + distinct), batch.labels),
            "common": self.params.common * verified,
            "distinct": self.params.distinct * self._cross_entropy("of_distinct", distinct, batch.labels),
        }

    def descend(self, loss: Tensor) -> None:
        """Take an optimiser step, then update M."""
        super().descend(loss)
        self.fuse()

    @torch.no_grad()
    def fuse(self) -> None:
        """Set M to the matrix of the fused features, expressed for z."""
        mean = 0.5 * (self.own.get_parameter("common.weight") + self.own.get_parameter("distinct.weight"))
        self.prototypes.matrix.copy_(self.own.get_parameter("of_fused.matrix") @ mean)

    def _cross_entropy(self, matrix: str, features: Tensor, labels: Tensor) -> Tensor:
        return weighted_cross_entropy(features, self.own.get_parameter(f"{matrix}.matrix"), labels, self._weights)


def pairs(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Compare each picture with the next of the batch, the last one with the first.

    Args:
        features: N×d float.
        labels: N int64.

    Returns:
        √d·|difference|, N×d (scaled as a linear layer's default initialisation expects of unit features), and whether
        both are of one class (N float, 1 or 0).
    """
    different = features.shape[1] ** 0.5 * (features - features.roll(-1, dims=0)).abs()
    return different, (labels == labels.roll(-1)).to(features.dtype)
