"""Training only the scale and shift of normalisation layers (Wang et al., ICLR 2021)."""

from torch import nn

BATCH_NORMS = (nn.modules.batchnorm._BatchNorm,)
NORMS = (*BATCH_NORMS, nn.LayerNorm, nn.GroupNorm)


def norms_of(module: nn.Module, kinds: tuple[type[nn.Module], ...]) -> list[nn.Module]:
    """Return the module's layers of these classes that have a scale and a shift, in order."""
    return [layer for layer in module.modules() if isinstance(layer, kinds) and any(True for _ in layer.parameters())]


def train_only(model: nn.Module, layers: list[nn.Module]) -> list[nn.Parameter]:
    """Enable gradients only for the parameters of ``layers``, which belong to ``model``, and return them."""
    model.requires_grad_(False)
    for layer in layers:
        layer.requires_grad_(True)
    return [parameter for layer in layers for parameter in layer.parameters()]
