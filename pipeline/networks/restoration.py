"""Restoration: a linear map that gives the features of a target what its camera took away.

The source's pictures are shown as the target's camera would show them (``pipeline.networks.camera_style``). Ridge
regression then maps their features to those of the same pictures as they are, and the map is applied to the target's
features. Wang et al. (CVPR 2020) restore features of degraded pictures in this way by a network; here one linear map
suffices. It needs no label, and for a camera like the source's it changes little.
"""

import torch
from torch import Tensor, nn

RIDGE = 0.01
"""Penalty of the regression, as a share of the mean variance of a feature."""


class Restoration(nn.Module):
    """An affine map of features: f ↦ f·W + b, N×D in, N×D out.

    Attributes:
        weight: W, D×D; initially the identity.
        bias: b, D.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.eye(dim))
        self.register_buffer("bias", torch.zeros(dim))

    def forward(self, features: Tensor) -> Tensor:
        return features @ self.weight + self.bias


@torch.no_grad()
def regression(seen: Tensor, clear: Tensor) -> Restoration:
    """Return the ridge regression of features on features.

    Args:
        seen: features of pictures as the target's camera shows them, N×D.
        clear: features of the same pictures, N×D.
    """
    x, y = seen.double(), clear.double()
    at, to = x.mean(dim=0), y.mean(dim=0)
    x, y = x - at, y - to
    covariance = x.T @ x / len(x)
    penalty = RIDGE * covariance.diagonal().mean() + torch.finfo(torch.float32).tiny  # all features may be equal
    covariance.diagonal().add_(penalty)
    found = Restoration(seen.shape[1]).to(seen)
    weight = torch.linalg.solve(covariance, x.T @ y / len(x))
    found.weight.copy_(weight)
    found.bias.copy_(to - at @ weight)
    return found
