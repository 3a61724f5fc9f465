"""Predict the crops of a data set with the package facex, and write a file for ``pocan score --predictions``.

pip install --no-deps facex ai-edge-litert scikit-image lazy_loader
python -m benchmarks.shipped SET OUT.csv [--all]   in a project that has the set's crops and split

The test rows are predicted, or with --all every picture.

facex 1.1.0 (MIT) contains its weights. It requires all of TensorFlow but uses only the interpreter. So it is not
imported here; its network is run on faces preprocessed as in ``facex.core`` and ``facex.utils``: grey, 200×200, in
[0, 1]. It gets the same crops as the other models instead of those of its Haar cascade.
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.data.prepared import PreparedData
from pipeline.labels import EXPRESSIONS
from pipeline.progress import progress_bar

CLASSES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
"""The classes, in the order of the network's outputs."""


def weights() -> Path:
    """Return the path of the network in the installed package."""
    found = find_spec("facex")
    if found is None or found.submodule_search_locations is None:
        raise SystemExit("facex is not installed: pip install --no-deps facex ai-edge-litert scikit-image lazy_loader")
    return Path(found.submodule_search_locations[0]) / "assets/model_optimized.tflite"


def prepared(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Preprocess a crop as facex does: uint8 H×W×3, RGB, in; 1×200×200×3 in [0, 1] out."""
    from skimage.transform import resize

    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    return np.asarray(resize(grey, (200, 200, 3)), np.float32)[None]


def probabilities(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return probabilities of crops (uint8 n×H×W×3) in the order of ``EXPRESSIONS``: n×7."""
    from ai_edge_litert.interpreter import Interpreter

    network = Interpreter(str(weights()), num_threads=1)
    network.allocate_tensors()
    given, made = network.get_input_details()[0]["index"], network.get_output_details()[0]["index"]
    order = [CLASSES.index(name) for name in EXPRESSIONS]
    found = np.empty((len(crops), len(EXPRESSIONS)))
    for place, crop in enumerate(progress_bar(crops, desc="facex", unit="picture")):
        network.set_tensor(given, prepared(crop))
        network.invoke()
        found[place] = network.get_tensor(made)[0][order]
    return found


def main() -> None:
    """Parse the command line; write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set")
    parser.add_argument("out", type=Path)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    data = PreparedData.open(options.set)
    rows = np.arange(len(data.store.images)) if options.all else data.split.test
    table = pd.DataFrame(probabilities(data.store.images[rows]), columns=[f"p_{name}" for name in EXPRESSIONS])
    table.insert(0, "picture", data.store.samples["key"].to_numpy()[rows])
    table.to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
