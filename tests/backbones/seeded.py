"""Weights and pictures that a seed makes anew anywhere: what references are recorded and compared with."""

import hashlib
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Shapes = Mapping[str, tuple[int, ...]]


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Of its tensors by name, without batch norm's counters, which influence nothing."""
    state = network.state_dict()
    return {key: tuple(value.shape) for key, value in state.items() if not key.endswith("num_batches_tracked")}


def digest(shapes: Shapes) -> str:
    """Of all names and shapes: equal for two networks whose weight files are interchangeable."""
    return hashlib.sha256(repr(sorted((key, tuple(shape)) for key, shape in shapes.items())).encode()).hexdigest()


def seeded_weights(shapes: Shapes, seed: int, gain: float = 1.0) -> dict[str, Tensor]:
    """Normal matrices of variance gain² / inputs, positive variances and slopes.

    With ReLUs in a row signals die below a gain of √2, with residual blocks that add without bound they grow above 1.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    return {key: torch.from_numpy(_values(generator, key, tuple(shapes[key]), gain)) for key in sorted(shapes)}


def _values(generator: np.random.Generator, key: str, shape: tuple[int, ...], gain: float) -> NDArray[np.float32]:
    if len(shape) > 1:
        normal = generator.standard_normal(shape, dtype=np.float32)
        scaled: NDArray[np.float32] = normal * np.float32(gain / np.sqrt(np.prod(shape[1:])))
        return scaled
    uniform = generator.random(shape, dtype=np.float32)
    if key.endswith(("running_var", ".weight")):  # of batch norms, and PReLU's slopes
        return uniform + np.float32(0.5)
    return (uniform - np.float32(0.5)) * np.float32(0.2)  # small, so that the output depends on the picture most of all


def picture(size: int, seed: int) -> NDArray[np.uint8]:
    """size×size×3, RGB, of coloured squares of 16×16 pixels: of noise as fine as pixels little is left when pooled."""
    squares = np.random.Generator(np.random.PCG64(seed)).integers(0, 256, (size // 16, size // 16, 3), dtype=np.uint8)
    return squares.repeat(16, axis=0).repeat(16, axis=1)
