"""LPL: locality-preserving loss within the source's classes, without the target (Li, Deng and Du, CVPR 2017)."""

import torch
from torch import Tensor, nn

from pipeline.config.methods.lpl import LplParams
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class Bank(nn.Module):
    """A ring buffer of the features and labels of the last steps.

    Attributes:
        features: n×d float.
        labels: n int64; −1 for unused entries.
        place: index of the oldest entry, which is replaced next.
    """

    features: Tensor
    labels: Tensor
    place: Tensor

    def __init__(self, size: int, dim: int) -> None:
        """Create an empty bank of ``size`` features of length ``dim``."""
        super().__init__()
        self.register_buffer("features", torch.zeros(size, dim))
        self.register_buffer("labels", torch.full((size,), -1))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def add(self, features: Tensor, labels: Tensor) -> None:
        """Add a step's features (N×d, N no larger than the bank) and labels (N)."""
        places = (self.place + torch.arange(len(labels), device=labels.device)) % len(self.labels)
        self.features[places] = features.detach().to(self.features.dtype)
        self.labels[places] = labels
        self.place.copy_((self.place + len(labels)) % len(self.labels))


class Lpl(TwoDomains):
    """The paper's eq. 5 on √d·z, whose dimensions have the variance of features that are not normalised.

    A batch has fewer than k pictures of a class, so the mean of the k nearest would be the class mean, as in centre
    loss. Therefore neighbours are also searched among the pictures of the last steps.
    """

    params: LplParams

    def own_modules(self) -> dict[str, nn.Module]:
        # Smaller than an epoch, so that a picture rarely meets its own earlier features.
        size = max(self.params.batch_size, min(self.params.bank, len(self.source.rows) - self.params.batch_size))
        return {"bank": Bank(size, self.network.head.dim)}

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        bank = self.own.get_submodule("bank")
        assert isinstance(bank, Bank)
        features = batch.source * batch.source.shape[1] ** 0.5
        others = torch.cat([features.detach(), bank.features]), torch.cat([batch.labels, bank.labels])
        locality = locality_preserving(features, batch.labels, *others, self.params.neighbours)
        bank.add(features, batch.labels)
        return {"source": self.supervised(batch), "locality": self.params.weight * locality}


def locality_preserving(
    features: Tensor, labels: Tensor, others: Tensor, other_labels: Tensor, neighbours: int
) -> Tensor:
    """Return ½ · mean of ‖x − mean of its k nearest neighbours in its class‖² (eq. 4).

    Only x has a gradient, as in the paper's eq. 6. If a class has fewer neighbours, all of them are used; a picture
    without any contributes 0.

    Args:
        features: N×d float.
        labels: N int64.
        others: candidates for neighbours, n×d float; the first N are ``features`` themselves.
        other_labels: n int64.
        neighbours: k.

    Returns:
        A scalar.
    """
    others = others.detach()
    like = labels[:, None] == other_labels[None, :]
    like.diagonal().fill_(False)
    distances = torch.cdist(features.detach(), others).masked_fill(~like, torch.inf)
    nearest, places = distances.topk(min(neighbours, len(others)), dim=1, largest=False)
    chosen = torch.zeros_like(distances).scatter_(1, places, nearest.isfinite().to(distances.dtype))
    counts = chosen.sum(dim=1, keepdim=True)
    means = chosen @ others / counts.clamp(min=1)
    return 0.5 * (torch.where(counts > 0, features - means, 0.0)).square().sum(dim=1).mean()
