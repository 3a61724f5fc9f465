"""Losses between domains: the prototypes' game (paper, eqs. 10 and 11), and the maximum mean discrepancy.

The discrepancy is that with Gaussian kernels (Gretton et al., JMLR 2012; many kernels: Long et al., ICML 2015). A
weighted sample is a distribution: weights are not negative and sum to 1.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def lambda_t(progress: float) -> float:
    """λ_t of eq. 5: 2 / (1 + exp(−10 p)) − 1 for the progress p of stage 2 in [0, 1]."""
    return 2.0 / (1.0 + math.exp(-10.0 * progress)) - 1.0


def domain_discrimination(z_s: Tensor, z_t: Tensor, m_s: Tensor, m_t: Tensor) -> Tensor:
    """L_dis, eq. 10: −mean over source of log Σ_{i≤k} P_st − mean over target of log Σ_{i>k} P_st.

    Args:
        z_s: projections of the source, S×d float, unit rows.
        z_t: projections of the target, T×d float, unit rows.
        m_s: the source's prototype matrix, k×d float.
        m_t: the target's prototype matrix, k×d float.

    Returns:
        A scalar.
    """
    return -_log_domain_score(z_s, m_s, m_t).mean() - _log_domain_score(z_t, m_t, m_s).mean()


def domain_confusion(z_s: Tensor, z_t: Tensor, m_s: Tensor, m_t: Tensor) -> Tensor:
    """L_st, eq. 11: eq. 10 with the domains exchanged; a scalar."""
    return -_log_domain_score(z_t, m_s, m_t).mean() - _log_domain_score(z_s, m_t, m_s).mean()


def _log_domain_score(z: Tensor, own: Tensor, other: Tensor) -> Tensor:
    """The log of the share of P_st = softmax([z·Mᵀ_own, z·Mᵀ_other]) that falls on ``own``, N float, by log-sum-exp."""
    own_score = torch.logsumexp(z @ own.T, dim=1)
    other_score = torch.logsumexp(z @ other.T, dim=1)
    return F.logsigmoid(own_score - other_score)


def gaussian_kernels(x: Tensor, y: Tensor, widths: Sequence[float]) -> tuple[Tensor, Tensor, Tensor]:
    """K(x, x), K(y, y) and K(x, y), the mean over kernels exp(−‖a − b‖² / (width · mean squared distance)).

    The mean is over all pairs of the joint sample, and carries no gradient.

    Args:
        x: S×d float.
        y: T×d float.
        widths: of the kernels.

    Returns:
        S×S, T×T and S×T float.
    """
    joint = torch.cat([x, y])
    lengths = joint.square().sum(dim=1)
    squared = (lengths[:, None] + lengths[None, :] - 2.0 * joint @ joint.T).clamp(min=0.0)
    count = len(joint)
    scale = (squared.detach().sum() / (count * (count - 1))).clamp(min=1e-12)
    kernel = torch.stack([torch.exp(-squared / (width * scale)) for width in widths]).mean(dim=0)
    return kernel[: len(x), : len(x)], kernel[len(x) :, len(x) :], kernel[: len(x), len(x) :]


def mmd(
    kernels: tuple[Tensor, Tensor, Tensor], weights_x: Tensor | None = None, weights_y: Tensor | None = None
) -> Tensor:
    """The squared MMD of two weighted samples, by its biased estimate, which is never negative.

    Args:
        kernels: those of ``gaussian_kernels``.
        weights_x: S float; None: all alike.
        weights_y: T float; None: all alike.

    Returns:
        A scalar.
    """
    k_xx, k_yy, k_xy = kernels
    u = torch.full_like(k_xy[:, 0], 1.0 / k_xy.shape[0]) if weights_x is None else weights_x
    v = torch.full_like(k_xy[0], 1.0 / k_xy.shape[1]) if weights_y is None else weights_y
    return u @ k_xx @ u + v @ k_yy @ v - 2.0 * u @ k_xy @ v


def conditional_mmd(kernels: tuple[Tensor, Tensor, Tensor], classes_x: Tensor, classes_y: Tensor) -> Tensor:
    """The mean over classes of the squared MMD between the pictures of that class in both samples.

    Args:
        kernels: those of ``gaussian_kernels``.
        classes_x: how much a picture belongs to each class, S×k float.
        classes_y: the same of the other sample, T×k float.

    Returns:
        A scalar. Classes that one sample lacks are left out; where none is left it is 0.
    """
    k_xx, k_yy, k_xy = kernels
    sums_x, sums_y = classes_x.sum(dim=0), classes_y.sum(dim=0)
    u, v = classes_x / sums_x.clamp(min=1e-12), classes_y / sums_y.clamp(min=1e-12)
    each = (u * (k_xx @ u)).sum(dim=0) + (v * (k_yy @ v)).sum(dim=0) - 2.0 * (u * (k_xy @ v)).sum(dim=0)
    shared = (sums_x > 0) & (sums_y > 0)
    return torch.where(shared, each, 0.0).sum() / shared.sum().clamp(min=1)
