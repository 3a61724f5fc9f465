"""Logits after a model's decision (logit adjustment, possible classes), and the entropy of predictions."""

from torch import Tensor

from pipeline.networks.network import Decision

IMPOSSIBLE = -1e4
"""The logit of a class that does not occur. It is finite, so that its gradient is 0 and not NaN."""


def decision_logits(logits: Tensor, decision: Decision) -> Tensor:
    """Return logits whose softmax equals ``decision(logits)``: adjusted, and restricted to the possible classes.

    Args:
        logits: z·Mᵀ, N×k float.
        decision: the model's decision.

    Returns:
        N×k float.
    """
    return (logits - decision.adjustment).masked_fill(~decision.possible, IMPOSSIBLE)


def entropy(probabilities: Tensor) -> Tensor:
    """Return −Σ p·log p over the last dimension, with a finite gradient at p = 0."""
    return -(probabilities * probabilities.clamp(min=1e-12).log()).sum(dim=-1)
