"""MCC: minimum class confusion of the predictions for the target (Jin et al., ECCV 2020)."""

import torch
from torch import Tensor

from pipeline.config.methods.mcc import MccParams
from pipeline.methods.parts.adversary import certainty
from pipeline.methods.parts.decision import decision_logits
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class Mcc(TwoDomains):
    """Cross entropy on the source and class confusion on the target; the domains are not aligned."""

    params: MccParams

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        decision = self.model.decision
        logits = decision_logits(self.prototypes(batch.target), decision)
        confusion = class_confusion(logits, self.params.temperature) * len(decision.possible) / decision.possible.sum()
        return {"source": self.supervised(batch), "confusion": self.params.weight * confusion}


def class_confusion(logits: Tensor, temperature: float) -> Tensor:
    """Return the mean over classes of the off-diagonal share of their row in the confusion matrix (eqs. 3 to 7).

    The matrix is Σ_i w_i·p_i·p_iᵀ over pictures i. The weights w grow with the certainty of a prediction, sum to N and
    have no gradient. A class without any probability contributes 0.

    Args:
        logits: N×k float.
        temperature: divides the logits, so that overconfident predictions count less.

    Returns:
        A scalar.
    """
    probabilities = torch.softmax(logits / temperature, dim=1)
    weights = certainty(probabilities.detach())
    weights = len(weights) * weights / weights.sum()
    matrix = (weights[:, None] * probabilities).T @ probabilities
    shares = matrix / matrix.sum(dim=1, keepdim=True).clamp(min=1e-12)
    return (shares.sum() - shares.trace()) / len(shares)
