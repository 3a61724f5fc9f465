"""How much a method's own terms act, beside the source's cross entropy."""

import torch
from torch import Tensor

SOURCE = "source"
"""What every method calls the source's cross entropy."""


def own_share(terms: dict[str, Tensor], z: list[Tensor]) -> float | None:
    """Compare gradients on the embeddings: the norm of that of a method's own terms over that of the cross entropy.

    Args:
        terms: of a step's loss, scalars by name; their graph is kept.
        z: the embeddings of source and target in that step, N×d float each.

    Returns:
        None where there is no cross entropy of the source or nothing beside it, or where that has no gradient.
    """
    own = [term for name, term in terms.items() if name != SOURCE]
    if SOURCE not in terms or not own:
        return None
    source = gradient_norm(terms[SOURCE], z)
    return gradient_norm(torch.stack(own).sum(), z) / source if source > 0 else None


def gradient_norm(loss: Tensor, z: list[Tensor]) -> float:
    """The length of a loss's gradient on all of ``z`` (N×d float each) together; the graph is kept."""
    tracked = [one for one in z if one.requires_grad]
    gradients = torch.autograd.grad(loss, tracked, retain_graph=True, allow_unused=True) if loss.requires_grad else ()
    known = [gradient.float().norm() for gradient in gradients if gradient is not None]
    return torch.stack(known).norm().item() if known else 0.0
