"""The losses, in the paper's order, one function each.

z: projections, N×d float, unit rows. M: prototype matrix, k×d. labels: N int64. weights: k float (eq. 13).
Two views of a batch are stacked: rows i and i + N/2 are views of one image. Every function returns a scalar; a mean
over nothing (no anchor with a positive, no trusted sample) is an exact 0 that carries no gradient into NaN.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def nt_xent(z: Tensor, tau: float) -> Tensor:
    """Eq. 1 over a batch of two stacked views (first term of eq. 5): the NT-Xent loss, mean over all 2B anchors.

    The positive of a view is the other view of its image; all other 2B − 2 views are negatives.
    (The released code adds the two views' means, which is twice this.)
    """
    count = len(z)
    similarity = _without_self(z @ z.T / tau)
    partner = torch.arange(count, device=z.device).roll(count // 2)
    return F.cross_entropy(similarity, partner)


def weighted_cross_entropy(z: Tensor, matrix: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Mean of w_y · CE(softmax(z·Mᵀ), y): eqs. 2, 3, the prototype terms of eqs. 5, 6, and eq. 8.

    The mean divides by the number of samples, as printed, not by the sum of the weights. No sample: 0.
    """
    if len(labels) == 0:
        return _zero_of(z, matrix)
    losses = F.cross_entropy(z @ matrix.T, labels, reduction="none")
    return (weights[labels] * losses).mean()


def supervised_contrastive(z: Tensor, labels: Tensor, tau: float) -> Tensor:
    """Eq. 4: SupCon over all views in the batch, mean over the anchors that have a positive.

    A(i) are all other views, P(i) those of the same class. The paper prints a sum over anchors; the released code
    and this function take the mean. An anchor without positives contributes nothing.
    """
    positive = labels[:, None] == labels[None, :]
    positive.fill_diagonal_(False)
    log_probability = _without_self(z @ z.T / tau).log_softmax(dim=1)
    # −inf (self) times 0 would be NaN: the diagonal is replaced before the mask is applied.
    log_probability = log_probability.masked_fill(~positive, 0.0)
    positives = positive.sum(dim=1)
    # Without a look at how many anchors there are, for which a GPU would have to be waited for.
    mean_of_positives = log_probability.sum(dim=1) / positives.clamp(min=1)
    return -mean_of_positives.sum() / (positives > 0).sum().clamp(min=1)


def lambda_t(progress: float) -> float:
    """λ_t of eq. 5: 2 / (1 + exp(−10 p)) − 1 for the progress p of stage 2 in [0, 1]."""
    return 2.0 / (1.0 + math.exp(-10.0 * progress)) - 1.0


def domain_discrimination(z_s: Tensor, z_t: Tensor, m_s: Tensor, m_t: Tensor) -> Tensor:
    """L_dis, eq. 10: −mean over source of log Σ_{i≤k} P_st − mean over target of log Σ_{i>k} P_st."""
    return -_log_domain_score(z_s, m_s, m_t).mean() - _log_domain_score(z_t, m_t, m_s).mean()


def domain_confusion(z_s: Tensor, z_t: Tensor, m_s: Tensor, m_t: Tensor) -> Tensor:
    """L_st, eq. 11: eq. 10 with the domains exchanged."""
    return -_log_domain_score(z_t, m_s, m_t).mean() - _log_domain_score(z_s, m_t, m_s).mean()


def _log_domain_score(z: Tensor, own: Tensor, other: Tensor) -> Tensor:
    """log of the share of P_st = softmax([z·Mᵀ_own, z·Mᵀ_other]) that falls on ``own``, N float, by log-sum-exp."""
    own_score = torch.logsumexp(z @ own.T, dim=1)
    other_score = torch.logsumexp(z @ other.T, dim=1)
    return F.logsigmoid(own_score - other_score)


def _without_self(similarity: Tensor) -> Tensor:
    own = torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
    return similarity.masked_fill(own, -math.inf)


def _zero_of(*tensors: Tensor) -> Tensor:
    """A 0 that stays in the graph, so that ``backward`` works and gives zero gradients."""
    return torch.stack([tensor.sum() * 0.0 for tensor in tensors]).sum()
