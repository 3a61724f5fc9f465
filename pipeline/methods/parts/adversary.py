"""A domain discriminator and the gradient reversal that trains an encoder against it (Ganin et al., JMLR 2016).

Also CDAN's additions: the outer product of features and predictions, and entropy weights (Long et al., NeurIPS 2018).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.factor * gradient, None


def reversed_gradient(values: Tensor, factor: float) -> Tensor:
    """Return ``values`` unchanged; the backward pass multiplies their gradient by −``factor``."""
    reversed_values: Tensor = _Reversed.apply(values, factor)
    return reversed_values


class Discriminator(nn.Module):
    """Domain discriminator: N×features float in, N logits out, positive for the source.

    Features are scaled to variance 1, which a linear layer's default initialisation assumes. The entries of unit
    vectors are too small for it.
    """

    def __init__(self, features: int, hidden: int, norm: float = 1.0) -> None:
        """Create the layers.

        Args:
            features: number of features of a picture.
            hidden: width of both hidden layers.
            norm: L2 norm of a picture's features.
        """
        super().__init__()
        self.factor = features**0.5 / norm
        self.layers = nn.Sequential(
            nn.Linear(features, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.layers(self.factor * features).squeeze(1)
        return logits


def domain_loss(
    source_logits: Tensor,
    target_logits: Tensor,
    source_weights: Tensor | None = None,
    target_weights: Tensor | None = None,
) -> Tensor:
    """Binary cross entropy of a discriminator: averaged over each domain, then over both.

    Args:
        source_logits: S float.
        target_logits: T float.
        source_weights: weights of the pictures, S float without gradient; None: equal weights.
        target_weights: the same for the target, T float.

    Returns:
        A scalar.
    """
    losses = []
    for logits, truth, weights in ((source_logits, 1.0, source_weights), (target_logits, 0.0, target_weights)):
        entropy = F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, truth), reduction="none")
        weighted = entropy if weights is None else weights * entropy * len(weights) / weights.sum()
        losses.append(weighted.mean())
    return 0.5 * (losses[0] + losses[1])


def multilinear(z: Tensor, probabilities: Tensor) -> Tensor:
    """The outer product p ⊗ z of each picture (eq. 5 of CDAN).

    Args:
        z: N×d float.
        probabilities: N×k float.

    Returns:
        N×(k·d) float.
    """
    return (probabilities[:, :, None] * z[:, None, :]).flatten(1)


def certainty(probabilities: Tensor) -> Tensor:
    """1 + exp(−H) of each prediction, in (1, 2] (sec. 3.3 of CDAN): N×k in, N out."""
    return 1.0 + torch.exp(torch.special.entr(probabilities).sum(dim=1).neg())
