"""Reading a state dict of any network of timm or torchvision with its linear classifier."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from pipeline.backbones import BACKBONES
from pipeline.backbones.parts.entry import StateDict
from pipeline.backbones.parts.state_dicts import read_file
from pipeline.config.learning import LinearModelParams
from pipeline.config.pictures import DEFAULT_FACES, FaceParams
from pipeline.errors import ParamsError, WeightsError
from pipeline.importing.classes import class_map
from pipeline.importing.network import ForeignNetwork

LIBRARIES = ("timm", "torchvision")

Channels = tuple[float, float, float]
"""Values for red, green and blue."""


def read(
    path: Path,
    network: str,
    classes: Sequence[str],
    input_size: int | None = None,
    mean: Channels | None = None,
    std: Channels | None = None,
    trained_on: str = "other pictures",
    licence: str = "",
    faces: FaceParams = DEFAULT_FACES,
) -> ForeignNetwork:
    """Read a network's weights. Files cannot run code.

    Args:
        path: a state dict (.pt, .pth, .ckpt, .safetensors).
        network: "timm:NAME" or "torchvision:NAME".
        classes: the names of its classes, in the order of its outputs (``pipeline.importing.classes``).
        input_size: side of its input, in pixels; None: the library's default.
        mean: mean to subtract from RGB in [0, 1]; None: the library's default.
        std: standard deviation to divide by; None: the library's default.
        trained_on: its training pictures in words, or a data set's name.
        licence: name of its licence; "": unknown.
        faces: how faces are found and cropped for it.

    Raises:
        ParamsError: the network does not exist, or the number of classes is wrong.
        WeightsError: the file does not exist, or contains other things than tensors, or another network.
    """
    library, _, architecture = network.partition(":")
    if library not in LIBRARIES or not architecture:
        raise ParamsError(
            f"--network: {network!r}: write timm:NAME or torchvision:NAME, such as timm:tf_efficientnet_b0"
        )
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; name fer, or a state dict with --network and --classes")
    layer, usual = _known(library, architecture)
    state = read_file(path)
    weight, bias, used = _classifier(path, state.tensors, layer)
    named = class_map(classes)
    if len(named.names) != len(weight):
        raise ParamsError(
            f"--classes: {len(named.names)} names, but {path} has {len(weight)} classes; name all, in order"
        )
    width = weight.shape[1]
    params = LinearModelParams(
        backbone=library,
        architecture=architecture,
        weights="file",
        weights_file=path.name,
        input_size=input_size or usual,
        projection_hidden=width,
        projection_dim=width,
        input_mean=mean,
        input_std=std,
    )
    trunk = StateDict({key: value for key, value in state.tensors.items() if key not in used}, str(path), state.record)
    origin = {"from": f"{path.name}, {BACKBONES[library].title}'s {architecture}", "licence": licence, **state.record}
    return ForeignNetwork(params, trunk, weight, bias, named, trained_on, origin, faces)


def _known(library: str, architecture: str) -> tuple[str, int]:
    """Return the name of a network's last layer, and the usual side of its input.

    Raises:
        ParamsError: the library is not installed, or does not have this network.
    """
    if library == "timm":
        from pipeline.backbones import timm

        return timm.classifier(architecture), timm.usual_size(architecture)
    from pipeline.backbones import torchvision

    return torchvision.classifier(architecture), torchvision.usual_size(architecture)


def _classifier(path: Path, tensors: Mapping[str, Tensor], layer: str) -> tuple[Tensor, Tensor, set[str]]:
    """Return weight and bias of the last layer, and their keys. It may be within a sequence, such as "classifier.0".

    Raises:
        WeightsError: it is missing, or is not a single linear layer.
    """
    keys = {key for key in tensors if key.startswith(f"{layer}.")}
    weights = [key for key in keys if key.endswith(".weight")]
    stem = weights[0].removesuffix("weight") if len(weights) == 1 else ""
    if not stem or keys - {f"{stem}weight", f"{stem}bias"} or tensors[f"{stem}weight"].dim() != 2:
        found = ", ".join(sorted(keys)) or f"no key that begins with {layer}."
        raise WeightsError(f"{path}: no linear classifier {layer}: {found}; --network must be the network of this file")
    weight = tensors[f"{stem}weight"].float()
    bias = tensors.get(f"{stem}bias", torch.zeros(len(weight))).float()
    if bias.shape != (len(weight),):
        raise WeightsError(f"{path}: {stem}bias is {tuple(bias.shape)}, expected {(len(weight),)}")
    return weight, bias, keys
