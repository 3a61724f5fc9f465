"""SAFN: features of both domains whose norms grow step by step (Xu et al., ICCV 2019)."""

import torch
from torch import Tensor, nn

from pipeline.config.methods.safn import SafnParams
from pipeline.methods.parts.two_domains import Batch, Domains, TwoDomains
from pipeline.networks.network import Network, unit_rows


class WithNorms(nn.Module):
    """Float N×3×112×112 in, N×(d + 1) out: z, and the norm that f's features have before they are made unit ones."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """z and norms of a batch of images."""
        features = self.network.encoder.features(images)
        z = self.network.head(unit_rows(features))
        return torch.cat([z, features.to(z.dtype).norm(dim=1, keepdim=True)], dim=1)


class Safn(TwoDomains):
    """The paper's eq. 7; f's unit features hide their norm, so it is taken before."""

    params: SafnParams

    def embedder(self) -> nn.Module:
        """f and g with the norms between them."""
        return WithNorms(self.network)

    def embedded(self, batch: Batch, progress: float) -> Domains:
        """The norms of both domains, the source's first, are kept aside."""
        both = super().embedded(batch, progress)
        self._norms = torch.cat([both.source[:, -1], both.target[:, -1]])
        return Domains(
            both.source[:, :-1], both.labels, both.target[:, :-1], both.target_index, both.target_views, progress
        )

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        """Cross entropy on the source, and the distance of every norm from what it is now and Δr more."""
        return {"source": self.supervised(batch), "norm": self.params.weight * stepwise(self._norms, self.params.step)}


def stepwise(norms: Tensor, step: float) -> Tensor:
    """Mean of (‖f‖ − (‖f‖ now + Δr))²: N float in, a scalar; its value is Δr², its gradient what counts."""
    return (norms - (norms.detach() + step)).square().mean()
