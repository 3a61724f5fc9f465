"""AaD: attract predictions to those of neighbours, disperse those within a batch (Yang et al., NeurIPS 2022)."""

import torch
from torch import Tensor

from pipeline.compute.device import upload
from pipeline.config.methods.aad import AadParams
from pipeline.methods.parts.decision import decision_logits
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class Aad(TwoDomains):
    """A memory bank holds the last z and prediction of every target picture; neighbours are the nearest by cosine."""

    params: AadParams

    def prepare_epoch(self, epoch: int) -> dict[str, float]:
        """Refill the bank from evaluation views, so that an epoch depends only on the model at its start."""
        z, probabilities = self.predict_whole_target()
        self._bank, self._predicted = self.prototypes.directions(z).clone(), probabilities.clone()
        return {}

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        # Eq. 5.
        probabilities = torch.softmax(decision_logits(self.prototypes(batch.target), self.model.decision), dim=1)
        near = self._neighbours(batch, probabilities.detach())
        weight = (1.0 + 10.0 * batch.progress) ** -self.params.decay
        return {
            "attraction": attraction(probabilities, near),
            "dispersion": self.params.dispersion * weight * dispersion(probabilities),
        }

    @torch.no_grad()
    def _neighbours(self, batch: Domains, probabilities: Tensor) -> Tensor:
        """Update the bank with the batch, and return the stored predictions of each picture's neighbours: T×n×k."""
        index = upload(batch.target_index, self.team.device)
        directions = self.prototypes.directions(batch.target.detach())
        self._bank[index], self._predicted[index] = directions, probabilities
        likeness = directions @ self._bank.T
        likeness.scatter_(1, index[:, None], -torch.inf)  # a picture is not its own neighbour
        count = min(self.params.neighbours, len(self._bank) - 1)
        return self._predicted[likeness.topk(count, dim=1).indices]


def attraction(probabilities: Tensor, near: Tensor) -> Tensor:
    """Return the mean over pictures of −Σ_j p·p_j, over their neighbours j.

    Args:
        probabilities: N×k float.
        near: probabilities of the neighbours, N×n×k float.

    Returns:
        A scalar.
    """
    return -(probabilities[:, None] * near).sum(dim=(1, 2)).mean()


def dispersion(probabilities: Tensor) -> Tensor:
    """Return the mean over pictures of Σ_m p·p_m, over the others m of the batch: N×k float in, a scalar out."""
    alike = probabilities @ probabilities.T
    return (alike.sum() - alike.trace()) / len(alike)
