"""Concord: pseudo-labels on which prototypes and the target's own centroids agree (docs/concord.md)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.compute.device import upload
from pipeline.config.methods.concord import ConcordParams
from pipeline.losses.classification import class_shares
from pipeline.methods.parts.decision import decision_logits, entropy
from pipeline.methods.parts.directions import centroids, nearest_centroid
from pipeline.methods.parts.shift import ClassAware, class_aware
from pipeline.methods.parts.two_domains import Domains, TwoDomains
from pipeline.networks.network import unit_rows
from pipeline.networks.statistics import ClassStatistics

ROUNDS = 2
"""How often centroids are computed, as in SHOT."""

TINY = 1e-3
"""Added to the shares of pseudo-labels, so that the divergence is finite for a class without any."""


class Concord(TwoDomains):
    """Cross entropy on the source and on agreed pseudo-labels, and information maximisation towards their shares.

    Pseudo-labels, losses on the target and predictions use the same decision, softmax(z·Mᵀ − A), so that they do not
    contradict each other.
    """

    params: ConcordParams

    def prepare_epoch(self, epoch: int) -> dict[str, float]:
        z, probabilities = self.predict_whole_target()
        if self.params.shift:
            z, probabilities = self._shifted(z)
        means, found = centroids(z, probabilities, ROUNDS)
        nearest = nearest_centroid(z, means, found)
        self._labels = nearest
        self._trusted = trusted(nearest, probabilities, self.params.agreement, self.params.trusted_share)
        self._shares = class_shares(nearest) + TINY
        agreed = (nearest == probabilities.argmax(dim=1)).float().mean()
        return {"agreement": agreed.item(), "trusted_share": self._trusted.float().mean().item()}

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        logits = decision_logits(self.prototypes(batch.target), self.model.decision)
        index = upload(batch.target_index, self.team.device)
        counts = self._trusted[index]
        taught = F.cross_entropy(logits, self._labels[index], reduction="none")
        probabilities = torch.softmax(logits, dim=1)
        mean = probabilities.mean(dim=0)
        away = (mean * (mean.clamp(min=1e-8) / self._shares).log()).sum()
        return {
            "source": self.supervised(batch),
            "pseudo": self.params.pseudo * (taught * counts).sum() / counts.sum().clamp(min=1),
            "information": self.params.information * (entropy(probabilities).mean() + away),
        }

    @torch.no_grad()
    def _shifted(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return z of the target's training pictures aligned with the source's current z, and its probabilities."""
        rows, model = self.source.rows, self.model
        source = self._classified(self.source.inputs, rows)[0]
        statistics = ClassStatistics.of(source, upload(self.source.labels[rows], source.device))
        moved = unit_rows(z - class_aware(z, model, statistics, ClassAware()))
        probabilities: Tensor = model.decision(model.prototypes(moved))
        return moved, probabilities


def trusted(nearest: Tensor, probabilities: Tensor, agreement: bool, share: float) -> Tensor:
    """Choose the pictures whose pseudo-labels are trusted: the most confident ones of each class.

    Args:
        nearest: the class of each picture's nearest centroid, N int64.
        probabilities: predictions by the prototypes, N×k float.
        agreement: leave out pictures for which prototypes and centroids disagree.
        share: maximum share of trusted pictures among those nearest to a class's centroid; at least one picture.

    Returns:
        N bool.
    """
    sure = probabilities.gather(1, nearest[:, None]).squeeze(1)
    if agreement:
        sure = sure.masked_fill(nearest != probabilities.argmax(dim=1), -1.0)
    chosen = torch.zeros_like(nearest, dtype=torch.bool)
    for index in nearest.unique().tolist():
        members = (nearest == index).nonzero().squeeze(1)
        ranked = members[sure[members].argsort(descending=True, stable=True)]
        chosen[ranked[: max(1, round(share * len(members)))]] = True
    return chosen & (sure >= 0.0)
