"""Tiny pictures for the tests of the readers."""

from pathlib import Path

import numpy as np
from PIL import Image


def save(path: Path, mode: str = "L", size: tuple[int, int] = (9, 7), seed: int = 0) -> Path:
    """Save a picture of noise, ``size`` = (width, height), in the format that the suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(path)
    return path
