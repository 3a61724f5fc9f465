"""How projections lie on the unit sphere: what a contrastive loss is made of, and the sign of a collapse.

z: projections, N×d float, unit rows; rows i and i + N/2 are views of one image. Measured, not minimised.
"""

import torch
from torch import Tensor


def alignment(z: Tensor) -> Tensor:
    """Mean squared distance of the two views of an image (Wang and Isola, ICML 2020, α = 2); 0 is the best."""
    first, second = z.chunk(2)
    return (first - second).square().sum(dim=1).mean()


def uniformity(z: Tensor) -> Tensor:
    """log of the mean of exp(−2‖z_i − z_j‖²) over all pairs (Wang and Isola, t = 2); 0: one point, lower is better."""
    return torch.pdist(z).square().mul(-2.0).exp().mean().log()


def spread(z: Tensor) -> Tensor:
    """1 − ‖mean z‖², the variance of all projections: 0 where they are one point, near 1 where they fill the sphere."""
    return 1.0 - z.mean(dim=0).square().sum()
