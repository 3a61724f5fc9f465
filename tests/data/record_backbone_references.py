"""Records what the authors' own networks make of seeded weights and a seeded picture: backbone_references.json.

Needs facenet-pytorch (``pip install --no-deps facenet-pytorch``), insightface's
``recognition/arcface_torch/backbones/iresnet.py`` and AdaFace's ``net.py``. Run from the project's root:

    python -m tests.data.record_backbone_references PATH/iresnet.py PATH/net.py
"""

import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.backbones.seeded import digest, picture, seeded_weights, shapes_of

REFERENCE = Path(__file__).with_name("backbone_references.json")
SEED = 5


Prepare = Callable[[NDArray[np.float32]], NDArray[Any]]


def record(network: nn.Module, size: int, gain: float, prepare: Prepare) -> Any:
    """What ``network`` makes, as a unit vector, of the picture as its authors ``prepare`` it (H×W×3, 0–255, RGB)."""
    shapes = shapes_of(network)
    network.load_state_dict(seeded_weights(shapes, SEED, gain), strict=False)
    pixels = prepare(picture(size, SEED).astype(np.float32)).astype(np.float32)
    with torch.no_grad():
        output = network.eval()(torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None])
    embedding: Tensor = output[0] if isinstance(output, tuple) else output
    unit = nn.functional.normalize(embedding)[0]
    values = [float(f"{value:.7g}") for value in unit]
    return {"size": size, "seed": SEED, "gain": gain, "shapes": digest(shapes), "unit": values}


def module(path: str) -> Any:
    """The Python file at ``path``."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def main(iresnet: str, net: str) -> None:
    """Write the reference: names and shapes of all tensors as a digest, and the 512 values by backbone and weights."""
    from facenet_pytorch import InceptionResnetV1

    facenet, arcface, adaface = InceptionResnetV1(), module(iresnet).iresnet50(), module(net).build_model("ir_50")
    records = {
        "facenet at 160": record(facenet, 160, 1.4, lambda rgb: (rgb - 127.5) / 128),
        "facenet at 112": record(facenet, 112, 1.4, lambda rgb: (rgb - 127.5) / 128),
        "iresnet50, arcface": record(arcface, 112, 0.6, lambda rgb: (rgb / 255 - 0.5) / 0.5),
        "iresnet50, adaface": record(adaface, 112, 0.6, lambda rgb: (rgb[..., ::-1] / 255 - 0.5) / 0.5),
    }
    made = {
        "torch": version("torch"),
        "facenet-pytorch": version("facenet-pytorch"),
        **{Path(path).name: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in (iresnet, net)},
    }
    REFERENCE.write_text(json.dumps({"recorded with": made, "records": records}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
