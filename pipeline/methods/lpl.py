"""LPL: pictures of a class near their nearest like ones, the target unseen (Li, Deng and Du, CVPR 2017)."""

import torch
from torch import Tensor

from pipeline.config.methods.lpl import LplParams
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class Lpl(TwoDomains):
    """The paper's eq. 5 on √d·z, whose dimensions vary as those of features do that are not made unit ones."""

    params: LplParams

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        features = batch.source * batch.source.shape[1] ** 0.5
        locality = locality_preserving(features, batch.labels, self.params.neighbours)
        return {"source": self.supervised(batch), "locality": self.params.weight * locality}


def locality_preserving(features: Tensor, labels: Tensor, neighbours: int) -> Tensor:
    """½ · mean of ‖x − mean of the k nearest of its class in the batch‖² (eq. 4).

    Where a class has fewer others in the batch, the mean is over these; a picture alone contributes 0.

    Args:
        features: N×d float.
        labels: N int64.
        neighbours: k.

    Returns:
        A scalar.
    """
    like = labels[:, None] == labels[None, :]
    like.fill_diagonal_(False)
    distances = torch.cdist(features.detach(), features.detach()).masked_fill(~like, torch.inf)
    nearest, places = distances.topk(min(neighbours, len(labels)), dim=1, largest=False)
    chosen = torch.zeros_like(distances).scatter_(1, places, nearest.isfinite().to(distances.dtype))
    counts = chosen.sum(dim=1, keepdim=True)
    means = chosen @ features / counts.clamp(min=1)
    return 0.5 * (torch.where(counts > 0, features - means, 0.0)).square().sum(dim=1).mean()
