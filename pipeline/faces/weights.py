"""The trained weights of MTCNN, read from the files that the ``mtcnn`` package ships (MIT licence).

The package itself is never imported, because that would import TensorFlow.
"""

from pathlib import Path

import joblib
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.errors import WeightsError
from pipeline.files.io import package_folder

FILTERS = 16
"""The networks' layers may be filled up with zeros to a multiple of this (see ``pipeline.faces.networks``)."""

INSTALL = "install it with: pip install 'mtcnn>=1.0,<2'"


def locate(name: str) -> Path:
    """The weight file of ``name`` (pnet, rnet or onet) in the installed package, found without importing it.

    Raises:
        WeightsError: the package is not installed or has no such file.
    """
    package = package_folder("mtcnn")
    if package is None:
        raise WeightsError(f"the package mtcnn, which holds the weights of the face detector, is missing; {INSTALL}")
    path = package / "assets" / "weights" / f"{name}.lz4"
    if not path.is_file():
        raise WeightsError(f"{path}: missing; the package mtcnn is damaged or has another version; {INSTALL}")
    return path


def load(network: nn.Module, name: str) -> None:
    """Fill ``network`` with the weights of ``name``; its layers must be defined in the order of the file.

    Raises:
        WeightsError: the file is missing, or does not fit the network.
    """
    path = locate(name)
    arrays: list[NDArray[np.float32]] = joblib.load(path)
    parameters = list(network.named_parameters())
    if len(arrays) != len(parameters):
        raise WeightsError(f"{path}: {len(arrays)} arrays, but the network has {len(parameters)}; {INSTALL}")
    with torch.no_grad():
        for (key, parameter), array in zip(parameters, arrays, strict=True):
            value = from_keras(array)
            if not _fits(value, parameter):
                raise WeightsError(
                    f"{path}: {key} should be {tuple(parameter.shape)}, not {tuple(value.shape)}; {INSTALL}"
                )
            parameter.zero_()[tuple(slice(size) for size in value.shape)] = value


def _fits(value: Tensor, parameter: Tensor) -> bool:
    """Whether the sizes agree, or would if each were rounded up to a multiple of ``FILTERS``."""
    return value.ndim == parameter.ndim and all(
        wanted in (there, -(-there // FILTERS) * FILTERS)
        for there, wanted in zip(value.shape, parameter.shape, strict=True)
    )


def from_keras(array: NDArray[np.float32]) -> Tensor:
    """One Keras array in PyTorch's layout.

    Convolution HWIO -> OIHW; dense in×out -> out×in; PReLU shared over the picture 1×1×C -> C; vectors stay.
    """
    tensor = torch.from_numpy(np.asarray(array, dtype=np.float32))
    if tensor.ndim == 4:
        return tensor.permute(3, 2, 0, 1)
    if tensor.ndim == 3:
        return tensor.reshape(-1)
    return tensor.T if tensor.ndim == 2 else tensor
