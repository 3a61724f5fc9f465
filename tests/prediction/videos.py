"""Small videos for the tests: a photographed face that moves, and a smaller one, mirrored, that comes and goes."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from pipeline.datasets.parts.videos import VideoWriter
from tests.faces.scenes import halved, photograph


def write_video(path: Path, frames: int, second: Collection[int] = (), rate: float = 25.0) -> Path:
    """``frames`` frames of 320×240; ``second``: those in which the smaller face is there, too."""
    large = photograph()[20:190, 60:210]
    small = halved(photograph())[:, ::-1]
    writer = VideoWriter(path, rate, 320, 240)
    for index in range(frames):
        canvas = np.full((240, 320, 3), 110, dtype=np.uint8)
        canvas[10 : 10 + len(large), 2 * index : 2 * index + large.shape[1]] = large
        if index in second:
            canvas[120:, 320 - small.shape[1] :] = small
        writer.write(canvas)
    writer.close()
    return path
