"""Training of normalisation layers alone, by scale and shift; all other weights stay (Wang et al., ICLR 2021)."""

from torch import nn

BATCH_NORMS = (nn.modules.batchnorm._BatchNorm,)
NORMS = (*BATCH_NORMS, nn.LayerNorm, nn.GroupNorm)


def norms_of(module: nn.Module, kinds: tuple[type[nn.Module], ...]) -> list[nn.Module]:
    """Return the module's layers of these kinds, in its own order, that have a scale and a shift."""
    return [layer for layer in module.modules() if isinstance(layer, kinds) and any(True for _ in layer.parameters())]


def train_only(model: nn.Module, layers: list[nn.Module]) -> list[nn.Parameter]:
    """Let only the parameters of ``layers``, which are the model's own, have gradients, and return them."""
    model.requires_grad_(False)
    for layer in layers:
        layer.requires_grad_(True)
    return [parameter for layer in layers for parameter in layer.parameters()]
