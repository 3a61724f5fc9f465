"""Contrastive losses of two stacked views: NT-Xent without labels, SupCon with labels (paper, eqs. 1 and 4).

There are also measures of how projections lie on the unit sphere. They show a collapse, and are not minimised.

z: projections, N×d float, unit rows; rows i and i + N/2 are views of one image.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def nt_xent(z: Tensor, tau: float) -> Tensor:
    """NT-Xent loss, eq. 1 (first term of eq. 5), of a batch of two stacked views; mean over all 2B anchors.

    The positive of a view is the other view of its image. All other 2B − 2 views are negatives.
    (The released code adds the means over the two views, which is twice this loss.)

    Args:
        z: projections of two stacked views, N×d float, unit rows.
        tau: temperature.

    Returns:
        A scalar.
    """
    count = len(z)
    similarity = _without_self(z @ z.T / tau)
    partner = torch.arange(count, device=z.device).roll(count // 2)
    return F.cross_entropy(similarity, partner)


def supervised_contrastive(z: Tensor, labels: Tensor, tau: float) -> Tensor:
    """SupCon loss, eq. 4, over all views of the batch; mean over the anchors that have a positive.

    A(i) contains all other views, P(i) those of the same class. The paper prints a sum over anchors; the released code
    and this function take the mean. An anchor without positives is ignored.

    Args:
        z: projections of two stacked views, N×d float, unit rows.
        labels: N int64.
        tau: temperature.

    Returns:
        A scalar.
    """
    positive = labels[:, None] == labels[None, :]
    positive.fill_diagonal_(False)
    log_probability = _without_self(z @ z.T / tau).log_softmax(dim=1)
    # The diagonal is −inf, and −inf times 0 would be NaN. So it is replaced by 0.
    log_probability = log_probability.masked_fill(~positive, 0.0)
    positives = positive.sum(dim=1)
    # No ``if`` on the number of anchors: the CPU would have to wait for the GPU.
    mean_of_positives = log_probability.sum(dim=1) / positives.clamp(min=1)
    return -mean_of_positives.sum() / (positives > 0).sum().clamp(min=1)


def alignment(z: Tensor) -> Tensor:
    """Mean squared distance of the two views of an image (Wang and Isola, ICML 2020, α = 2); 0 is the best."""
    first, second = z.chunk(2)
    return (first - second).square().sum(dim=1).mean()


def uniformity(z: Tensor) -> Tensor:
    """Log of the mean of exp(−2‖z_i − z_j‖²) over pairs (Wang and Isola, t = 2); 0: one point; lower is better."""
    return torch.pdist(z).square().mul(-2.0).exp().mean().log()


def spread(z: Tensor) -> Tensor:
    """Variance of all projections, 1 − ‖mean z‖²: 0 if they are one point, near 1 if they cover the sphere."""
    return 1.0 - z.mean(dim=0).square().sum()


def _without_self(similarity: Tensor) -> Tensor:
    own = torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
    return similarity.masked_fill(own, -math.inf)
