"""SHOT: information maximisation and pseudo-labels with the source's classifier fixed (Liang et al., ICML 2020)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.compute.device import upload
from pipeline.config.methods.shot import ShotParams
from pipeline.methods.parts.decision import decision_logits, entropy
from pipeline.methods.parts.directions import centroids, nearest_centroid
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class Shot(TwoDomains):
    """M of the source model is fixed; f and g are trained on the target alone, without source pictures."""

    params: ShotParams

    def prepare_epoch(self, epoch: int) -> dict[str, float]:
        z, probabilities = self.predict_whole_target()
        self._pseudo_labels = clustered(self.source_model.prototypes.directions(z), probabilities)
        self._shares = smoothed_shares(self._pseudo_labels, self.source_model.decision.possible)
        return {"relabelled": (self._pseudo_labels != probabilities.argmax(dim=1)).float().mean().item()}

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        # Eqs. 3, 4 and 7.
        logits = decision_logits(self.prototypes.fixed(batch.target), self.source_model.decision)
        probabilities = torch.softmax(logits, dim=1)
        labels = self._pseudo_labels[upload(batch.target_index, self.team.device)]
        mean = probabilities.mean(dim=0)
        away = -entropy(mean)
        if self.params.diversity_to == "estimated":
            away = away - (mean * self._shares.log()).sum()
        return {
            "entropy": entropy(probabilities).mean(),
            "diversity": self.params.diversity * away,
            "pseudo": self.params.pseudo * F.cross_entropy(logits, labels),
        }


def clustered(z: Tensor, probabilities: Tensor) -> Tensor:
    """Label every picture by the nearest centroid, by cosine distance (eqs. 5 and 6): N×d and N×k in, N int64 out."""
    means, found = centroids(z, probabilities, rounds=2)
    return nearest_centroid(z, means, found)


def smoothed_shares(labels: Tensor, possible: Tensor) -> Tensor:
    """Return the share of each class, with one added to every possible class's count (Laplace).

    The divergence from these shares is then finite for a class without pictures.

    Args:
        labels: N int64, on the device of ``possible``.
        possible: k bool.

    Returns:
        k float that sum to 1 over the possible classes; 1 for the others, so that their logarithm is 0.
    """
    counts = F.one_hot(labels, len(possible)).sum(dim=0) + 1.0
    return torch.where(possible, counts / counts[possible].sum(), 1.0)
