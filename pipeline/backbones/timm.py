"""Any network of timm (PyTorch Image Models, Wightman) by its name there, ``model.architecture``.

timm is an optional extra. Without a classifier, with the pooling that the network has of its own: the average over the
picture for convolutional ones, often the class token for transformers, whose weights would fit no other.
"""

from __future__ import annotations

import difflib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.backbones.parts.entry import RANDOM, Backbone, Family, InputNorm, StateDict, Weights
from pipeline.backbones.parts.width import misfit, width
from pipeline.errors import ParamsError, WeightsError

if TYPE_CHECKING:
    from torch import nn

NEAR = 5
"""Names that a message on an unknown one suggests, of some three thousand."""

PRETRAINED = Weights(
    title="pre-trained by timm", origin="timm's registry; timm downloads them, each with its own licence"
)
FILE = Weights(title="from a file", origin="your state dict of this architecture", from_file=True)


def find(architecture: str, size: int) -> Backbone:
    """The network of that name; both kinds of weights are normalised as timm's own are.

    Args:
        architecture: its name in timm.
        size: of the pictures, side in pixels.

    Raises:
        ParamsError: timm is not installed, or has no such network.
    """
    own = _settings(architecture)
    norm = InputNorm(1.0, own.mean, own.std)
    return Backbone(
        name=architecture,
        title=f"timm's {architecture}",
        features=partial(width, architecture, size, usual_size(architecture)),
        build=lambda _: create(architecture, size),
        weights={
            "none": RANDOM,
            "pretrained": Weights(
                PRETRAINED.title, PRETRAINED.origin, lambda _: read_pretrained(architecture, size), norm
            ),
            "file": Weights(FILE.title, FILE.origin, partial(read_file_of, architecture), norm, from_file=True),
        },
    )


def _library() -> Any:
    try:
        import timm
    except ImportError as error:
        raise ParamsError(
            f"model.backbone: timm is not installed ({error}); install it with: pip install 'pocan[timm]'"
        ) from error
    return timm


def _settings(architecture: str) -> Any:
    """What timm says of the default weights of that name: ``mean``, ``std``, ``input_size``, ``classifier``."""
    timm = _library()
    names = {*timm.list_models(), *timm.list_models(pretrained=True)}
    if architecture not in names:
        near = ", ".join(difflib.get_close_matches(architecture, names, n=NEAR)) or "none"
        raise ParamsError(
            f"model.architecture: timm {timm.__version__} has no network {architecture!r}; similar names: {near}. "
            f"timm.list_models() lists all"
        )
    return timm.get_pretrained_cfg(architecture)


def create(architecture: str, size: int, pretrained: bool = False) -> nn.Module:
    """The network, N×3×size×size in, N×features out.

    Args:
        architecture: its name in timm.
        size: of the pictures, side in pixels.
        pretrained: with timm's weights, which are downloaded; else with random ones.

    Raises:
        ParamsError: it is made for pictures of another size.
    """
    own = _settings(architecture)
    # Networks made for one size, such as transformers with an embedding of positions, must be told any other.
    sizing = {"img_size": size} if own.fixed_input_size and size != own.input_size[-1] else {}
    try:
        network: nn.Module = _library().create_model(architecture, pretrained=pretrained, num_classes=0, **sizing)
    except (TypeError, AssertionError, ValueError) as error:
        raise misfit(architecture, size, usual_size(architecture), error) from error
    return network


def usual_size(architecture: str) -> int:
    """The side in pixels of the pictures that its default weights were trained on.

    Raises:
        ParamsError: timm is not installed, or has no such network.
    """
    return int(_settings(architecture).input_size[-1])


def classifier(architecture: str) -> str:
    """The name of its last layer, as "fc" or "head.fc".

    Raises:
        ParamsError: timm is not installed, or has no such network, or it has no such layer or more than one.
    """
    found = _settings(architecture).classifier
    if not isinstance(found, str):
        raise ParamsError(f"model.architecture: {architecture} does not end in one classifier; choose another network")
    return found


def read_pretrained(architecture: str, size: int) -> StateDict:
    """The weights of timm, downloaded by timm, once; it resamples an embedding of positions for another size.

    Raises:
        WeightsError: there are none of this name, or they cannot be downloaded.
    """
    try:
        network = create(architecture, size, pretrained=True)
    except (OSError, RuntimeError) as error:
        raise WeightsError(f"timm's weights of {architecture} cannot be had: {error}") from error
    own = _settings(architecture)
    name = f"timm {own.architecture}.{own.tag}" if own.tag else f"timm {own.architecture}"
    return StateDict(network.state_dict(), name, {"weights_name": name})


def read_file_of(architecture: str, path: Path) -> StateDict:
    """A state dict of this architecture with or without its classifier, which is not used.

    Raises:
        WeightsError: no such file, or none of the forms of ``pipeline.backbones.parts.state_dicts``.
    """
    from pipeline.backbones.parts.state_dicts import read_file

    classifier = _settings(architecture).classifier or ()
    layers = (classifier,) if isinstance(classifier, str) else classifier
    return read_file(path, frozenset(f"{layer}.{part}" for layer in layers for part in ("weight", "bias")))


TIMM = Family(
    name="timm",
    title="timm",
    find=find,
    example="resnet18.a1_in1k",
    weights={"none": RANDOM, "pretrained": PRETRAINED, "file": FILE},
)
