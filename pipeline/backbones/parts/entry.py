"""What an entry of the registry of backbones says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class InputNorm:
    """What weights expect of RGB in [0, 1]: (x·scale − mean) / std per channel, in BGR order if ``bgr``."""

    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool = False


@dataclass(frozen=True)
class StateDict:
    """Tensors by the trunk's names, and what a run records of them. ``ignored``: keys that are expected and not used.

    origin: what errors call the weights. record: name, and of a file its SHA-256.
    """

    tensors: Mapping[str, Tensor]
    origin: str
    record: Mapping[str, str]
    ignored: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Weights:
    """Weights that a backbone can start from.

    read: the tensors; takes ``model.weights_file``, which ``from_file`` says it needs; None: random initialisation.
    origin: where the weights come from and on what terms. measured: their batch norms come without statistics, which
    are measured on the source's crops (``pipeline.networks.statistics``).
    """

    title: str
    origin: str
    read: Callable[[Path], StateDict] | None = None
    norm: InputNorm | None = None
    from_file: bool = False
    measured: bool = False


RANDOM = Weights(title="no pre-training", origin="random initialisation")


@dataclass(frozen=True)
class Backbone:
    """The convolutional part of the encoder, with global average pooling.

    features: its output is N×features float. build: makes it, for the weights of that name; it takes N×3×112×112
    float images as their ``norm`` leaves them. weights: by the names of ``model.weights``.
    """

    name: str
    title: str
    features: int
    build: Callable[[str], nn.Module]
    weights: Mapping[str, Weights] = field(default_factory=lambda: {"none": RANDOM})
