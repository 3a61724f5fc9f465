"""Losses of what a model decides: its logits as its decision takes them, and how uncertain it is."""

from torch import Tensor

from pipeline.networks.network import Decision

IMPOSSIBLE = -1e4
"""The logit of a class that does not occur: finite, so that its gradient is 0."""


def decision_logits(logits: Tensor, decision: Decision) -> Tensor:
    """Return logits whose softmax is the decision's: after its adjustment, and among the classes that occur.

    Args:
        logits: z·Mᵀ, N×k float.
        decision: whose.

    Returns:
        N×k float.
    """
    return (logits - decision.adjustment).masked_fill(~decision.possible, IMPOSSIBLE)


def entropy(probabilities: Tensor) -> Tensor:
    """−Σ p·log p over the last dimension, with a finite gradient where p is 0."""
    return -(probabilities * probabilities.clamp(min=1e-12).log()).sum(dim=-1)
