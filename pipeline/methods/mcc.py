"""MCC: predictions of the target that confuse classes as little as can be (Jin et al., ECCV 2020)."""

import torch
from torch import Tensor

from pipeline.config.methods.mcc import MccParams
from pipeline.methods.parts.adversary import certainty
from pipeline.methods.parts.decision import decision_logits
from pipeline.methods.parts.two_domains import Domains, TwoDomains


class Mcc(TwoDomains):
    """The source's cross entropy and the target's class confusion; no alignment of the domains."""

    params: MccParams

    def losses(self, batch: Domains) -> dict[str, Tensor]:
        decision = self.model.decision
        logits = decision_logits(self.prototypes(batch.target), decision)
        confusion = class_confusion(logits, self.params.temperature) * len(decision.possible) / decision.possible.sum()
        return {"source": self.supervised(batch), "confusion": self.params.weight * confusion}


def class_confusion(logits: Tensor, temperature: float) -> Tensor:
    """The mean over classes of the share of its row of the confusion matrix that other classes have (eqs. 3 to 7).

    The matrix is Σ_i w_i·p_i·p_iᵀ of the pictures i, with weights w that are larger where a prediction is sure, sum to
    their number and have no gradient. A class that nobody is given any probability of is not confused.

    Args:
        logits: N×k float.
        temperature: by which they are divided, so that sure predictions of wrong classes count less.

    Returns:
        A scalar.
    """
    probabilities = torch.softmax(logits / temperature, dim=1)
    weights = certainty(probabilities.detach())
    weights = len(weights) * weights / weights.sum()
    matrix = (weights[:, None] * probabilities).T @ probabilities
    shares = matrix / matrix.sum(dim=1, keepdim=True).clamp(min=1e-12)
    return (shares.sum() - shares.trace()) / len(shares)
