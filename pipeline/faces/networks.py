"""The three networks of MTCNN (Zhang et al. 2016, fig. 2), in the variant that the ``mtcnn`` package trained.

Their weights are read from the package's files (MIT licence). The package itself is never imported, because that would
import TensorFlow.

Inputs are float N×3×H×W, RGB as (x − 127.5) / 128. Box offsets are shares of the box's size: x1, y1, x2, y2. Layers are
defined in the order of the weight files, which ``load_weights`` needs.

The first layers of P-Net (10 filters) and R-Net (28) are padded with zero filters to 16 and 32. CPUs compute 8 or 16
channels in one instruction, and are slow with other numbers of channels.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.errors import WeightsError
from pipeline.files.io import package_file
from pipeline.locks import importing_joblib

FILTERS = 16
"""Layers may be padded with zero filters to a multiple of this number."""

INSTALL = "install it with: pip install 'mtcnn>=1.0,<2'"


def _convolution(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel), nn.PReLU(outputs))


class _Halve(nn.Module):
    """2×2 max pooling that rounds up. Four slices are several times faster on a CPU than ``nn.MaxPool2d``."""

    def forward(self, features: Tensor) -> Tensor:
        """N×C×H×W in, N×C×⌈H/2⌉×⌈W/2⌉ out."""
        height, width = features.shape[-2:]
        if height % 2 or width % 2:
            features = F.pad(features, (0, width % 2, 0, height % 2), value=-torch.inf)
        rows = torch.maximum(features[..., ::2, :], features[..., 1::2, :])
        return torch.maximum(rows[..., ::2], rows[..., 1::2])


class PNet(nn.Module):
    """Proposes faces everywhere in a picture: a 12×12 window at every second pixel."""

    WINDOW = 12
    STRIDE = 2
    SMALLEST = 11  # pooling rounds up, so 11 pixels are enough for one output

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _convolution(3, 16, 3),
            _Halve(),
            _convolution(16, 16, 3),
            _convolution(16, 32, 3),
        )
        self.offsets = nn.Conv2d(32, 4, 1)
        self.classes = nn.Conv2d(32, 2, 1)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """N×3×H×W in; out: offsets N×4×h×w, face scores N×h×w; h = ⌈(H − 2) / 2⌉ − 4, w likewise."""
        # One product for both heads, padded with ten outputs of 0: on a CPU faster than 4 and 2 outputs separately.
        assert self.offsets.bias is not None
        assert self.classes.bias is not None
        weight = F.pad(torch.cat([self.offsets.weight, self.classes.weight]), (0, 0, 0, 0, 0, 0, 0, 10))
        bias = F.pad(torch.cat([self.offsets.bias, self.classes.bias]), (0, 10))
        outputs = F.conv2d(self.features(pictures), weight, bias)
        # The softmax of two classes is the sigmoid of their difference.
        return outputs[:, :4], (outputs[:, 5] - outputs[:, 4]).sigmoid()


class RNet(nn.Module):
    """Classifies and refines proposals of 24×24 pixels."""

    SIZE = 24

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _convolution(3, 32, 3),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            _convolution(32, 48, 3),
            nn.MaxPool2d(3, 2),
            _convolution(48, 64, 2),
        )
        self.dense = nn.Sequential(nn.Linear(576, 128), nn.PReLU(128))
        self.offsets = nn.Linear(128, 4)
        self.classes = nn.Linear(128, 2)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """N×3×24×24 in; out: offsets N×4, face scores N."""
        features = self.dense(_flatten(self.features(patches)))
        return self.offsets(features), self.classes(features).softmax(dim=1)[:, 1]


class ONet(nn.Module):
    """Makes the final classification on 48×48 pixels, with five landmarks."""

    SIZE = 48

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _convolution(3, 32, 3),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            _convolution(32, 64, 3),
            nn.MaxPool2d(3, 2),
            _convolution(64, 64, 3),
            _Halve(),
            _convolution(64, 128, 2),
        )
        self.dense = nn.Sequential(nn.Linear(1152, 256), nn.PReLU(256))
        self.offsets = nn.Linear(256, 4)
        self.landmarks = nn.Linear(256, 10)
        self.classes = nn.Linear(256, 2)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """N×3×48×48 in; out: offsets N×4, face scores N, landmarks N×10 (five x, then five y, as shares of the box)."""
        features = self.dense(_flatten(self.features(patches)))
        return self.offsets(features), self.classes(features).softmax(dim=1)[:, 1], self.landmarks(features)


def _flatten(features: Tensor) -> Tensor:
    # The weights come from column-major Caffe blobs through Keras: the order is width, height, channel.
    return features.permute(0, 3, 2, 1).flatten(1)


def weight_file(name: str) -> Path:
    """Find the weight file of a network (pnet, rnet or onet) in the installed package, without importing it.

    Raises:
        WeightsError: the package is not installed or has no such file.
    """
    return package_file("mtcnn", f"assets/weights/{name}.lz4", INSTALL)


def load_weights(network: nn.Module, name: str) -> None:
    """Load the trained weights of a network.

    Args:
        network: its layers must be defined in the order of the file.
        name: pnet, rnet or onet.

    Raises:
        WeightsError: the file is missing, or does not fit the network.
    """
    path = weight_file(name)
    with importing_joblib():
        import joblib
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
    """Return whether the sizes are equal, or would be if each were rounded up to a multiple of ``FILTERS``."""
    return value.ndim == parameter.ndim and all(
        wanted in (there, -(-there // FILTERS) * FILTERS)
        for there, wanted in zip(value.shape, parameter.shape, strict=True)
    )


def from_keras(array: NDArray[np.float32]) -> Tensor:
    """Convert one Keras array to PyTorch's layout.

    Convolution: HWIO to OIHW. Dense: in×out to out×in. PReLU shared over the picture: 1×1×C to C. Vectors are
    unchanged.
    """
    tensor = torch.from_numpy(np.asarray(array, dtype=np.float32))
    if tensor.ndim == 4:
        return tensor.permute(3, 2, 0, 1)
    if tensor.ndim == 3:
        return tensor.reshape(-1)
    return tensor.T if tensor.ndim == 2 else tensor
