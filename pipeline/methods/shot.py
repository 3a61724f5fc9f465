"""SHOT: sure and varied predictions for the target under the source's classifier (Liang et al., ICML 2020)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.compute.device import upload
from pipeline.config.methods.shot import ShotParams
from pipeline.methods.parts.two_domains import Domains, TwoDomains

IMPOSSIBLE = -1e4
"""The logit of a class that does not occur: finite, so that its gradient is 0."""


class Shot(TwoDomains):
    """M stays the source's; f and g learn from the target's pictures alone, the source's are not looked at."""

    params: ShotParams

    def prepare_epoch(self, epoch: int) -> dict[str, float]:
        z, probabilities = self.predict_whole_target()
        self._pseudo_labels = clustered(z, probabilities)
        return {"relabelled": (self._pseudo_labels != probabilities.argmax(dim=1)).float().mean().item()}

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        # Eqs. 3, 4 and 7.
        decision = self.source_model.decision
        logits = batch.target @ self.prototypes.matrix.detach().T - decision.adjustment
        logits = logits.masked_fill(~decision.possible, IMPOSSIBLE)
        probabilities = torch.softmax(logits, dim=1)
        labels = self._pseudo_labels[upload(batch.target_index, self.team.device)]
        return {
            "entropy": entropy(probabilities).mean(),
            "diversity": -self.params.diversity * entropy(probabilities.mean(dim=0)),
            "pseudo": self.params.pseudo * F.cross_entropy(logits, labels),
        }


def entropy(probabilities: Tensor) -> Tensor:
    """−Σ p·log p over the last dimension, with a finite gradient where p is 0."""
    return -(probabilities * probabilities.clamp(min=1e-12).log()).sum(dim=-1)


def clustered(z: Tensor, probabilities: Tensor) -> Tensor:
    """Label every picture by the nearest centroid, by cosine distance (eqs. 5 and 6).

    Centroids are first the means of z weighted by the probabilities, then those of the pictures that were nearest. A
    class that nobody is nearest to has no centroid any more.

    Args:
        z: N×d float, unit rows.
        probabilities: N×k float.

    Returns:
        N int64.
    """
    centroids = F.normalize(probabilities.T @ z)
    possible = probabilities.sum(dim=0) > 0
    labels = (z @ centroids.T).masked_fill(~possible, -torch.inf).argmax(dim=1)
    members = F.one_hot(labels, probabilities.shape[1]).to(z.dtype)
    centroids = F.normalize(members.T @ z)
    return (z @ centroids.T).masked_fill(members.sum(dim=0) == 0, -torch.inf).argmax(dim=1)
