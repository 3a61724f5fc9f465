"""A small project for the tests: what ``pocan adapt`` needs, and an album."""

import shutil
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from pipeline.config import load as params
from pipeline.data.prepared import PreparedData, Split, write_split
from tests.faces.scenes import noise, photograph
from tests.models import write_source
from tests.stores import write_store

ROOT = Path(__file__).parents[2]


def write_project(folder: Path) -> None:
    """A small untrained source model, its source's crops, parameters of two steps, and an album; call it from there."""
    values = params.read(ROOT / "params.yaml")
    values["adapt"] |= {"epochs": 2, "steps_per_epoch": 1, "batch_size": 4}
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    shutil.copy(ROOT / "dvc.yaml", folder / "dvc.yaml")
    generator = np.random.Generator(np.random.PCG64(0))
    crops = list(generator.integers(0, 256, (14, 112, 112, 3), dtype=np.uint8))
    rows = [{"key": f"{index}.png", "label": index % 7, "method": "mtcnn"} for index in range(14)]
    write_store(folder / "data/crops/rafdb", crops, rows, "rafdb", "stand-in")
    write_split(folder / "data/splits/rafdb.parquet", Split(np.arange(10), np.arange(10, 14)))
    write_source(folder / "models", source=PreparedData.open("rafdb").description())
    (folder / "album/sub").mkdir(parents=True)
    for index in range(5):
        Image.fromarray(np.roll(photograph(), 4 * index, axis=1)).save(folder / f"album/sub/{index}.png")
    Image.fromarray(noise(64, 64)).save(folder / "album/no-face.png")
    (folder / "album/broken.jpg").write_bytes(b"")
