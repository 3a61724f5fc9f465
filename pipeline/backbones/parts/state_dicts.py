"""Weight files that users bring: state dicts of PyTorch and pickled numpy dictionaries, read without running code."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.backbones.parts.entry import StateDict
from pipeline.errors import WeightsError
from pipeline.files import sha256

_PICKLE_ALLOWED = {
    ("collections", "OrderedDict"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("_codecs", "encode"),
}


def read_file(path: Path, ignored: frozenset[str] = frozenset()) -> StateDict:
    """Read a state dict (.pth, .pt) or a pickled numpy dict (.pkl, of Caffe conversions).

    Wrappers ("state_dict", "model") and a "module." prefix are taken off. Neither format may run code: torch files are
    read with ``weights_only``, pickles with a list of allowed types. ``ignored``: keys that no trunk uses.

    Raises:
        WeightsError: no such file, or not one of these formats.
    """
    if not path.is_file():
        raise WeightsError(f"model.weights_file: {path}: no such file; see the README on where to get weights")
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
    try:
        tensors = {str(key).removeprefix("module."): torch.as_tensor(value) for key, value in raw.items()}
    except TypeError as error:  # an array of objects or of text
        raise WeightsError(f"{path}: not every entry is an array of numbers: {error}") from error
    return StateDict(tensors, str(path), {"weights_name": path.name, "weights_sha256": sha256(path)}, ignored)


class _NumpyUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PICKLE_ALLOWED:
            raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}, which a dictionary of arrays needs not")
        return super().find_class(module, name)


def _read_pickle(path: Path) -> Any:
    with path.open("rb") as file:
        return _NumpyUnpickler(file, encoding="latin1").load()  # the known files were written by Python 2
