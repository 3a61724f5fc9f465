"""What an entry of the registry of backbones says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

CROPS = 112
"""The crops' side in pixels, ``pipeline.data.crops.CROP_SIZE``, whose import entries must not wait for."""

SIZES = range(32, 1025)
"""Sides of pictures, in pixels, that a network with global average pooling is asked to take."""


@dataclass(frozen=True)
class InputNorm:
    """What weights expect of RGB in [0, 1]: (x·scale − mean) / std per channel.

    Attributes:
        scale: a factor of all channels.
        mean: of the scaled channels.
        std: of the scaled channels.
        bgr: whether the channels come in the order blue, green, red.
    """

    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool = False


@dataclass(frozen=True)
class StateDict:
    """Weights that were read, and what a run records of them.

    Attributes:
        tensors: by the trunk's names.
        origin: what errors call the weights.
        record: their name, and of a file its SHA-256.
        ignored: keys that are expected and not used.
    """

    tensors: Mapping[str, Tensor]
    origin: str
    record: Mapping[str, str]
    ignored: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Weights:
    """Weights that a backbone can start from.

    Attributes:
        title: for tables and reports.
        origin: where the weights come from and on what terms.
        read: reads the tensors from ``model.weights_file``; None: random initialisation.
        norm: what they expect of their input; None: RGB in [0, 1] as it is.
        from_file: whether ``read`` needs ``model.weights_file``.
        measured: whether their batch norms come without statistics, which are then measured on the source's crops
            (``pipeline.networks.initial_weights``).
        package: the module of an optional package that has them, which the extra of the backbone's name installs.
    """

    title: str
    origin: str
    read: Callable[[Path], StateDict] | None = None
    norm: InputNorm | None = None
    from_file: bool = False
    measured: bool = False
    package: str | None = None


RANDOM = Weights(title="no pre-training", origin="random initialisation")


@dataclass(frozen=True)
class Backbone:
    """The convolutional part of the encoder, with global average pooling or what its authors have in that place.

    Attributes:
        name: in ``model.backbone``.
        title: for tables and reports.
        features: its output is N×features float; a function where only the built network knows.
        build: makes it for the weights of that name; it takes float N×3×size×size images as their ``norm`` leaves them.
        weights: by the names of ``model.weights``.
        sizes: what ``size`` may be (``model.input_size``, or the crops' 112).
    """

    name: str
    title: str
    features: int | Callable[[nn.Module], int]
    build: Callable[[str], nn.Module]
    weights: Mapping[str, Weights] = field(default_factory=lambda: {"none": RANDOM})
    sizes: range = SIZES

    def of(self, architecture: str | None, input_size: int | None) -> Backbone:
        """The backbone itself; only a ``Family`` has to look for the one that is meant."""
        return self

    def width(self, trunk: nn.Module) -> int:
        """The number of features of the built network."""
        return self.features if isinstance(self.features, int) else self.features(trunk)


@dataclass(frozen=True)
class Family:
    """Many backbones under one name, of which ``model.architecture`` names one.

    Attributes:
        name: in ``model.backbone``.
        title: for tables and reports.
        find: that one, for pictures of that side in pixels.
        example: the name of an architecture, for messages.
        weights: those that every one of them has; what the found one says of them (normalisation, origin) holds.
        sizes: that a picture's side may have.
    """

    name: str
    title: str
    find: Callable[[str, int], Backbone]
    example: str
    weights: Mapping[str, Weights]
    sizes: range = SIZES

    def of(self, architecture: str | None, input_size: int | None) -> Backbone:
        """The backbone that ``model.architecture`` names.

        Args:
            architecture: its name.
            input_size: of the pictures, side in pixels; None: the crops'.

        Raises:
            ParamsError: there is none; the message has what may have been meant.
        """
        return self.find(architecture or "", input_size or CROPS)
