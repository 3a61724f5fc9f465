"""How strongly a method's own loss terms act, relative to the cross entropy on the source."""

import torch
from torch import Tensor

SOURCE = "source"
"""The name of the source's cross entropy among every method's loss terms."""


def own_share(terms: dict[str, Tensor], z: list[Tensor]) -> float | None:
    """Return the ratio of two gradient norms on the embeddings: the method's own terms over the cross entropy.

    Args:
        terms: the terms of a step's loss, scalars by name; their graph is kept.
        z: the embeddings of source and target in that step, N×d float each.

    Returns:
        The ratio. None if there is no cross entropy on the source, if it is the only term, or if its gradient is 0.
    """
    own = [term for name, term in terms.items() if name != SOURCE]
    if SOURCE not in terms or not own:
        return None
    source = gradient_norm(terms[SOURCE], z)
    return gradient_norm(torch.stack(own).sum(), z) / source if source > 0 else None


def gradient_norm(loss: Tensor, z: list[Tensor]) -> float:
    """Return the norm of a loss's gradient with respect to all of ``z`` (N×d float each); the graph is kept."""
    tracked = [one for one in z if one.requires_grad]
    gradients = torch.autograd.grad(loss, tracked, retain_graph=True, allow_unused=True) if loss.requires_grad else ()
    known = [gradient.float().norm() for gradient in gradients if gradient is not None]
    return torch.stack(known).norm().item() if known else 0.0
