"""The game of the two prototype matrices over the domains (paper, eqs. 10 and 11), and the schedule λ_t of eq. 5.

z: projections, N×d float, unit rows. M: prototype matrix, k×d. Every loss is a scalar.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


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
