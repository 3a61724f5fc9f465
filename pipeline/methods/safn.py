"""SAFN: stepwise growth of the feature norms of both domains (Xu et al., ICCV 2019)."""

import torch
from torch import Tensor, nn

from pipeline.config.methods.safn import SafnParams
from pipeline.methods.parts.two_domains import Batch, Domains, TwoDomains
from pipeline.networks.network import Network, unit_rows


class WithNorms(nn.Module):
    """Embeds pictures as z and the norm of f's features before L2 normalisation: N×3×112×112 in, N×(d + 1) out."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        features = self.network.encoder.features(images)
        z = self.network.head(unit_rows(features))
        return torch.cat([z, features.to(z.dtype).norm(dim=1, keepdim=True)], dim=1)


class Safn(TwoDomains):
    """The paper's eq. 7, on the norm of f's features before their L2 normalisation.

    In the paper the classifier sees unnormalised features. Here f's features and z are normalised, so a growing norm
    changes no prediction. The loss cannot have its intended effect, and the method is not ranked.
    """

    params: SafnParams

    def embedder(self) -> nn.Module:
        return WithNorms(self.network)

    def embedded(self, batch: Batch, progress: float) -> Domains:
        """Keep the norms of both domains, the source's first, for the loss."""
        both = super().embedded(batch, progress)
        self._norms = torch.cat([both.source[:, -1], both.target[:, -1]])
        return Domains(
            both.source[:, :-1], both.labels, both.target[:, :-1], both.target_index, both.target_views, progress
        )

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        return {"source": self.supervised(batch), "norm": self.params.weight * stepwise(self._norms, self.params.step)}


def stepwise(norms: Tensor, step: float) -> Tensor:
    """Return the mean of (‖f‖ − (sg(‖f‖) + Δr))², sg: stop gradient. Its value is always Δr²; its gradient matters.

    Args:
        norms: ‖f‖ of each picture, N float.
        step: Δr.

    Returns:
        A scalar.
    """
    return (norms - (norms.detach() + step)).square().mean()
