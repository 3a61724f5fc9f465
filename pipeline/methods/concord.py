"""Concord: taught by the pictures on which prototypes and the target's own centroids agree (docs/concord.md)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.compute.device import upload
from pipeline.config.methods.concord import ConcordParams
from pipeline.losses.classification import class_shares
from pipeline.methods.parts.decision import decision_logits, entropy
from pipeline.methods.parts.shift import ClassAware, class_aware
from pipeline.methods.parts.training_free import centroids
from pipeline.methods.parts.two_domains import Domains, TwoDomains
from pipeline.networks.network import unit_rows
from pipeline.networks.statistics import ClassStatistics

ROUNDS = 2
"""How many times centroids are made; SHOT's."""

TINY = 1e-3
"""Added to the shares of pseudo-labels: the divergence from a class that nobody has is finite."""


class Concord(TwoDomains):
    """The source's cross entropy, that of agreed pseudo-labels, and information towards their shares.

    All of it is of the decision that also predicts, softmax(z·Mᵀ − A), so that labels, losses and predictions do not
    pull against each other.
    """

    params: ConcordParams

    def prepare_epoch(self, epoch: int) -> dict[str, float]:
        z, probabilities = self.predict_whole_target()
        if self.params.shift:
            z, probabilities = self._shifted(z)
        means, found = centroids(z, probabilities, ROUNDS)
        nearest = (z @ means.T).masked_fill(~found, -torch.inf).argmax(dim=1)
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
        """Z of the target's training pictures moved to where the source's is now, and what is predicted of it."""
        rows, model = self.source.rows, self.model
        source = self._classified(self.source.inputs, rows)[0]
        statistics = ClassStatistics.of(source, upload(self.source.labels[rows], source.device))
        moved = unit_rows(z - class_aware(z, model, statistics, ClassAware()))
        probabilities: Tensor = model.decision(model.prototypes(moved))
        return moved, probabilities


def trusted(nearest: Tensor, probabilities: Tensor, agreement: bool, share: float) -> Tensor:
    """Choose the pictures whose pseudo-labels are learned: of each class the surest ones.

    Args:
        nearest: the class of each picture's nearest centroid, N int64.
        probabilities: by the prototypes, N×k float.
        agreement: leave out the pictures that the prototypes predict as another class.
        share: how many of the pictures nearest to a class's centroid are trusted at most, at least one.

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
