"""Losses between domains: the adversarial losses of the prototypes (paper, eqs. 10 and 11), and the MMD.

MMD: maximum mean discrepancy with Gaussian kernels (Gretton et al., JMLR 2012; several kernels: Long et al., ICML
2015). The weights of a sample are not negative and sum to 1.
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
    """L_st, eq. 11: eq. 10 with the domains exchanged. Returns a scalar."""
    return -_log_domain_score(z_t, m_s, m_t).mean() - _log_domain_score(z_s, m_t, m_s).mean()


def _log_domain_score(z: Tensor, own: Tensor, other: Tensor) -> Tensor:
    """Return the log of the probability that P_st = softmax([z·Mᵀ_own, z·Mᵀ_other]) gives to ``own``, N float."""
    own_score = torch.logsumexp(z @ own.T, dim=1)
    other_score = torch.logsumexp(z @ other.T, dim=1)
    return F.logsigmoid(own_score - other_score)


def gaussian_kernels(x: Tensor, y: Tensor, widths: Sequence[float]) -> tuple[Tensor, Tensor, Tensor]:
    """Compute K(x, x), K(y, y) and K(x, y), each the mean of several Gaussian kernels.

    A kernel is exp(−‖a − b‖² / (width · mean squared distance)). The mean squared distance is over all pairs of the
    joint sample, without a gradient.

    Args:
        x: S×d float.
        y: T×d float.
        widths: widths of the kernels.

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
    """Return the squared MMD of two weighted samples (the biased estimate, which is never negative).

    Args:
        kernels: result of ``gaussian_kernels``.
        weights_x: S float; None: equal weights.
        weights_y: T float; None: equal weights.

    Returns:
        A scalar.
    """
    k_xx, k_yy, k_xy = kernels
    u = torch.full_like(k_xy[:, 0], 1.0 / k_xy.shape[0]) if weights_x is None else weights_x
    v = torch.full_like(k_xy[0], 1.0 / k_xy.shape[1]) if weights_y is None else weights_y
    return u @ k_xx @ u + v @ k_yy @ v - 2.0 * u @ k_xy @ v


def conditional_mmd(kernels: tuple[Tensor, Tensor, Tensor], classes_x: Tensor, classes_y: Tensor) -> Tensor:
    """Return the mean over classes of the squared MMD between the two samples' pictures of a class.

    Args:
        kernels: result of ``gaussian_kernels``.
        classes_x: how much each picture belongs to each class, S×k float.
        classes_y: the same for the other sample, T×k float.

    Returns:
        A scalar. Classes that are missing in a sample are ignored; if no class is left, it is 0.
    """
    k_xx, k_yy, k_xy = kernels
    sums_x, sums_y = classes_x.sum(dim=0), classes_y.sum(dim=0)
    u, v = classes_x / sums_x.clamp(min=1e-12), classes_y / sums_y.clamp(min=1e-12)
    each = (u * (k_xx @ u)).sum(dim=0) + (v * (k_yy @ v)).sum(dim=0) - 2.0 * (u * (k_xy @ v)).sum(dim=0)
    shared = (sums_x > 0) & (sums_y > 0)
    return torch.where(shared, each, 0.0).sum() / shared.sum().clamp(min=1)
