"""The reader of weight files that users bring, which runs no code.

They are state dicts of PyTorch, safetensors and pickled numpy dictionaries.
"""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pipeline.backbones.parts.entry import StateDict
from pipeline.errors import WeightsError
from pipeline.files.io import sha256

_PICKLE_ALLOWED = {
    ("collections", "OrderedDict"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("_codecs", "encode"),
}


def read_file(path: Path, ignored: frozenset[str] = frozenset()) -> StateDict:
    """Read a state dict (.pth, .pt, .ckpt), a .safetensors file or a pickled numpy dict (.pkl, of Caffe conversions).

    Wrappers ("state_dict", "model") and the prefixes "module." and "model." are taken off. No format may run code:
    torch files are read with ``weights_only``, pickles with a list of allowed types.

    Args:
        path: of the file.
        ignored: keys that no trunk uses.

    Raises:
        WeightsError: no such file, or not one of these formats.
    """
    if not path.is_file():
        raise WeightsError(f"model.weights_file: {path}: no such file; docs/backbones.md says where to get weights")
    try:
        raw = _read_raw(path)
    except (
        SafetensorError,
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
    ) as error:
        forms = "a state dict (.pth, .pt, .ckpt), safetensors or a pickled numpy dict (.pkl)"
        raise WeightsError(f"{path}: not {forms}: {error}") from error
    for wrapper in ("state_dict", "model"):
        if isinstance(raw, dict) and isinstance(raw.get(wrapper), dict):
            raw = raw[wrapper]
    if not isinstance(raw, dict) or not all(isinstance(value, Tensor | np.ndarray) for value in raw.values()):
        raise WeightsError(f"{path}: expected a dictionary of tensors")
    try:
        tensors = {_bare(str(key)): torch.as_tensor(value) for key, value in raw.items()}
    except TypeError as error:  # an array of objects or of text
        raise WeightsError(f"{path}: not every entry is an array of numbers: {error}") from error
    return StateDict(tensors, str(path), {"weights_name": path.name, "weights_sha256": sha256(path)}, ignored)


def _bare(key: str) -> str:
    """A tensor's name without what DataParallel and Lightning modules put before it."""
    return key.removeprefix("module.").removeprefix("model.")


def _read_raw(path: Path) -> Any:
    if path.suffix == ".pkl":
        return _read_pickle(path)
    if path.suffix == ".safetensors":
        return load_file(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not zipfile.is_zipfile(path):  # what torch.save writes is one
            raise pickle.UnpicklingError("it is damaged, or could run code") from None
        # PyTorch's own message advises weights_only=False, which would run whatever the file says.
        raise WeightsError(
            f"{path}: holds more than tensors, as checkpoints of Lightning do, and the rest is not read, as it could "
            "run code. Where you trust the file, keep its weights alone: torch.save(torch.load(FILE, "
            'weights_only=False)["state_dict"], "weights.pth")'
        ) from error


class _NumpyUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PICKLE_ALLOWED:
            raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}, which a dictionary of arrays needs not")
        return super().find_class(module, name)


def _read_pickle(path: Path) -> Any:
    with path.open("rb") as file:
        return _NumpyUnpickler(file, encoding="latin1").load()  # the known files were written by Python 2
