"""Pre-trained weights for the encoder: the user's VGGFace2 file, torchvision's ImageNet, or none."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor

from pipeline.errors import WeightsError
from pipeline.files import sha256
from pipeline.models import load_checked
from pipeline.nets import Encoder
from pipeline.params import ModelParams

_CLASSIFIER = frozenset({"fc.weight", "fc.bias"})
_PICKLE_ALLOWED = {
    ("collections", "OrderedDict"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("_codecs", "encode"),
}


def load_pretrained(encoder: Encoder, params: ModelParams) -> dict[str, str]:
    """Load the weights that ``params`` names into the encoder; returns what the run records about them.

    The record has ``weights`` and, where there is a file or an entry of torchvision's registry, its name; for a file
    also its SHA-256.

    Raises:
        WeightsError: the file is missing, is of no known format, or does not fit; every key at fault is named.
    """
    record: dict[str, str] = {"weights": params.weights}
    if params.weights == "imagenet":
        entry = torchvision.models.get_model_weights(params.backbone).DEFAULT
        load_checked(encoder.trunk, entry.get_state_dict(progress=True), str(entry), ignored=_CLASSIFIER)
        record["weights_name"] = str(entry)
    elif params.weights == "vggface2":
        path = Path(params.weights_file or "")
        load_checked(encoder.trunk, read_vggface2(path), str(path), ignored=_CLASSIFIER)
        record |= {"weights_name": path.name, "weights_sha256": sha256(path)}
    return record


def read_vggface2(path: Path) -> dict[str, Tensor]:
    """Read a PyTorch export of the VGGFace2 ResNet-50 (Cao et al. 2018): a state dict (.pth, .pt) or a pickled numpy
    dict (.pkl) of the Caffe conversion. Wrappers ("state_dict", "model") and a "module." prefix are taken off.

    Neither format may run code: torch files are read with ``weights_only``, pickles with a list of allowed types.

    Raises:
        WeightsError: no such file, or not one of these formats.
    """
    if not path.is_file():
        raise WeightsError(f"model.weights_file: {path}: no such file; see the README on where to get VGGFace2 weights")
    try:
        raw = _read_pickle(path) if path.suffix == ".pkl" else torch.load(path, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
    ) as error:
        raise WeightsError(f"{path}: not a state dict (.pth, .pt) or a pickled numpy dict (.pkl): {error}") from error
    for wrapper in ("state_dict", "model"):
        if isinstance(raw, dict) and isinstance(raw.get(wrapper), dict):
            raw = raw[wrapper]
    if not isinstance(raw, dict) or not all(isinstance(value, Tensor | np.ndarray) for value in raw.values()):
        raise WeightsError(f"{path}: expected a dictionary of tensors")
    return {str(key).removeprefix("module."): torch.as_tensor(value) for key, value in raw.items()}


class _NumpyUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PICKLE_ALLOWED:
            raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}, which a dictionary of arrays needs not")
        return super().find_class(module, name)


def _read_pickle(path: Path) -> Any:
    with path.open("rb") as file:
        return _NumpyUnpickler(file, encoding="latin1").load()  # the known files were written by Python 2
