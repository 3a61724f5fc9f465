"""How many features a network of a family makes of a picture, and what it says of a size that it cannot take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import ParamsError

if TYPE_CHECKING:
    from torch import nn


def width(architecture: str, size: int, own_size: int | None, trunk: nn.Module) -> int:
    """The number of features, counted on a black picture: the libraries' own numbers are not right for every network.

    Args:
        architecture: its name.
        size: of the pictures, in pixels.
        own_size: the one that the network was made for, where it is known.
        trunk: without its classifier.

    Raises:
        ParamsError: the network does not take pictures of this size, or does not make one vector of a picture.
    """
    import torch

    try:
        with torch.no_grad():
            features = trunk.eval()(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise misfit(architecture, size, own_size, error) from error
    finally:
        trunk.train()
    if not isinstance(features, torch.Tensor) or features.dim() != 2:
        raise ParamsError(f"model.architecture: {architecture} makes no vector of a picture; choose another one")
    return int(features.shape[1])


def misfit(architecture: str, size: int, own_size: int | None, error: Exception) -> ParamsError:
    """What to raise where a network cannot take pictures of a size; the arguments as of ``width``."""
    own = f"; its own size is {own_size}×{own_size}" if own_size else ""
    return ParamsError(f"model.input_size: {architecture} cannot take pictures of {size}×{size} pixels ({error}){own}")
