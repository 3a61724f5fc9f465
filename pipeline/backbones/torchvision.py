"""Any classifier of torchvision by its name there, ``model.architecture``, without its last linear layer."""

from __future__ import annotations

import difflib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.backbones.parts.entry import RANDOM, Backbone, Family, InputNorm, StateDict, Weights
from pipeline.backbones.parts.width import misfit, width
from pipeline.errors import ParamsError

if TYPE_CHECKING:
    from torch import nn

NEAR = 5
"""Names that a message on an unknown one suggests."""

FILE = Weights(title="from a file", origin="your state dict of this architecture", from_file=True)
NORM = InputNorm(1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""That of all of torchvision's own weights."""


def find(architecture: str, size: int) -> Backbone:
    """The network of that name.

    Args:
        architecture: its name in torchvision.
        size: of the pictures, side in pixels.

    Raises:
        ParamsError: torchvision has no such network.
    """
    import torchvision

    names = torchvision.models.list_models(module=torchvision.models)
    if architecture not in names:
        near = ", ".join(difflib.get_close_matches(architecture, names, n=NEAR)) or "none"
        raise ParamsError(f"model.architecture: torchvision has no network {architecture!r}; similar names: {near}")
    return Backbone(
        name=architecture,
        title=f"torchvision's {architecture}",
        features=partial(width, architecture, size, None),
        build=lambda _: create(architecture, size),
        weights={
            "none": RANDOM,
            "file": Weights(FILE.title, FILE.origin, partial(read_file_of, architecture), NORM, from_file=True),
        },
    )


def create(architecture: str, size: int) -> nn.Module:
    """The network with random weights, N×3×size×size in, N×features out.

    Args:
        architecture: its name in torchvision.
        size: of the pictures, side in pixels.

    Raises:
        ParamsError: it does not end in a linear layer, or is made for pictures of another size.
    """
    from torch import nn

    network: nn.Module = _whole(architecture, size)
    holder, _, name = _last(architecture, network).rpartition(".")
    setattr(network.get_submodule(holder), name, nn.Identity())
    return network


def usual_size(architecture: str) -> int:
    """The side in pixels of the pictures that most of torchvision's weights were trained on."""
    return 299 if architecture == "inception_v3" else 224


def classifier(architecture: str) -> str:
    """The name of its last linear layer, as "fc" or "classifier.1".

    Raises:
        ParamsError: torchvision has no such network, or its last layer is none.
    """
    find(architecture, usual_size(architecture))
    return _last(architecture, _whole(architecture, usual_size(architecture)))


def _last(architecture: str, network: nn.Module) -> str:
    """The name of the last linear layer of a built network.

    Raises:
        ParamsError: its last layer is none.
    """
    from torch import nn

    layers = [(name, layer) for name, layer in network.named_modules() if any(True for _ in layer.parameters(False))]
    name: str = layers[-1][0]
    layer = layers[-1][1]
    if not isinstance(layer, nn.Linear):
        raise ParamsError(f"model.architecture: {architecture} does not end in a linear layer; choose another network")
    return name


def _whole(architecture: str, size: int) -> Any:
    """The network with its classifier."""
    import torchvision

    # Transformers are made for one size, and are told which.
    sizing = {"image_size": size} if architecture.startswith("vit_") else {}
    try:
        return torchvision.models.get_model(architecture, weights=None, **sizing)
    except (ValueError, TypeError, RuntimeError) as error:
        raise misfit(architecture, size, None, error) from error


def read_file_of(architecture: str, path: Path) -> StateDict:
    """A state dict of this architecture with or without its classifier, which is not used.

    Raises:
        WeightsError: no such file, or none of the forms of ``pipeline.backbones.parts.state_dicts``.
    """
    from pipeline.backbones.parts.state_dicts import read_file

    layer = classifier(architecture)
    return read_file(path, frozenset(f"{layer}.{part}" for part in ("weight", "bias")))


TORCHVISION = Family(
    name="torchvision",
    title="torchvision",
    find=find,
    example="mobilenet_v3_small",
    weights={"none": RANDOM, "file": FILE},
)
