"""The reader of dlib's serialised networks, without dlib: convolutions and affine layers, in order from the image on.

Numbers are a byte with their length (and, in its highest bit, their sign) and that many bytes, little-endian; texts are
a length and bytes; a tensor is its version 2, four sizes and raw float32 (dlib's serialize.h and tensor.h).
"""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.backbones.parts.entry import StateDict
from pipeline.errors import WeightsError
from pipeline.files.io import package_file, sha256

FILE = "dlib_face_recognition_resnet_model_v1.dat"
TENSOR_VERSION = bytes([1, 2])


def installed(package: str) -> Path:
    """Where the package of that name keeps the file.

    Raises:
        WeightsError: it is not installed, or has no such file.
    """
    return package_file(package, f"models/{FILE}", "pip install 'pocan[dlib]'")


def read(path: Path, trunk: nn.Module) -> StateDict:
    """Read dlib's face recognition network.

    An affine layer y = scale·x + shift after a convolution with a bias becomes a batch norm of mean 0 and variance 1.

    Args:
        path: of dlib's file.
        trunk: gives the tensors their names; in it each convolution is followed by its batch norm.

    Raises:
        WeightsError: no such file, or not a network of these layers.
    """
    try:
        file = DlibFile(path.read_bytes())
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); see docs/backbones.md") from error
    layers = [(name, layer) for name, layer in trunk.named_modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
    tensors: dict[str, Tensor] = {}
    for (convolution, filters), (norm, affine) in zip(layers[::2], layers[1::2], strict=True):
        assert isinstance(filters, nn.Conv2d)
        assert isinstance(affine, nn.BatchNorm2d)
        weight, bias = _parts(path, file.tensor_of("con_4"), filters.weight.shape, affine.num_features)
        scale, shift = _parts(path, file.tensor_of("affine_"), affine.weight.shape, affine.num_features)
        tensors[f"{convolution}.weight"] = weight
        tensors[f"{norm}.weight"] = scale * (1.0 + affine.eps) ** 0.5
        tensors[f"{norm}.bias"] = shift + scale * bias
        tensors[f"{norm}.running_mean"] = torch.zeros_like(scale)
        tensors[f"{norm}.running_var"] = torch.ones_like(scale)
    return StateDict(tensors, str(path), {"weights_name": path.name, "weights_sha256": sha256(path)})


def _parts(path: Path, found: Tensor | None, shape: torch.Size, second: int) -> tuple[Tensor, Tensor]:
    """Divide a layer's numbers into its two tensors.

    Args:
        path: of the file, for the message.
        found: the layer's numbers; None: it was not found.
        shape: of the first tensor.
        second: length of the second tensor.

    Raises:
        WeightsError: there are not as many numbers as that.
    """
    if found is None or len(found) != shape.numel() + second:
        numbers = "nothing" if found is None else f"{len(found)} numbers"
        raise WeightsError(
            f"{path}: not dlib's face recognition network ({FILE}): {numbers} where a layer of {shape.numel()} + "
            f"{second} is expected"
        )
    first, rest = found.split([shape.numel(), second])
    return first.view(shape), rest


class DlibFile:
    """A file's bytes, read forwards."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def tensor_of(self, layer: str) -> Tensor | None:
        """The parameters of the next layer of a kind.

        Returns:
            N float32; None: there is no such layer, or the file is cut short.
        """
        record = bytes([1, len(layer)]) + layer.encode() + TENSOR_VERSION
        start = self._content.find(record, self._at)
        if start < 0:
            return None
        self._at = start + len(record)
        count = math.prod(self._number() for _ in range(4))
        end = self._at + 4 * count
        if end > len(self._content):
            return None
        numbers = np.frombuffer(self._content, "<f4", count, self._at).copy()
        self._at = end
        return torch.from_numpy(numbers)

    def _number(self) -> int:
        """One of dlib's integers; of the sizes here none is negative."""
        length = self._content[self._at] if self._at < len(self._content) else 0
        start, self._at = self._at + 1, self._at + 1 + length
        return int.from_bytes(self._content[start : self._at], "little")
