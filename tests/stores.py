"""Crop stores for the tests, written as the faces stage writes them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config.load import load
from pipeline.data.crops import CROP_SIZE, CropStore
from pipeline.faces.writer import CropBatch, CropWriter

FACES = load(Path(__file__).parents[1] / "params.yaml").faces
"""How the faces of these stores are said to have been cropped."""


def flat(value: int) -> NDArray[np.uint8]:
    """A crop of one grey level."""
    return np.full((CROP_SIZE, CROP_SIZE, 3), value, dtype=np.uint8)


def write_store(
    folder: Path,
    crops: Sequence[NDArray[np.uint8]],
    rows: Sequence[dict[str, Any]],
    dataset: str = "ckplus",
    provenance: str = "real",
    unreadable: Mapping[str, str] | None = None,
) -> CropStore:
    """The store of these crops, from a single batch."""
    writer = CropWriter(folder.with_name(f".{folder.name}"))
    assert list(writer.resume(["only"])) == []
    writer.append("only", CropBatch(np.stack(crops), list(rows), dict(unreadable or {})))
    writer.finish(folder, dataset, provenance, FACES.model_dump(mode="json"))
    return CropStore.open(folder)
