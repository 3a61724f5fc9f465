"""ResNet-50, the paper's encoder, with the VGGFace2 weights of Cao et al. 2018."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.backbones.parts.entry import Backbone, InputNorm, StateDict, Weights
from pipeline.backbones.parts.torchvision_resnet import CLASSIFIER, trunk, usual_weights

if TYPE_CHECKING:
    from torch import nn

    from pipeline.backbones.parts.resnet import ResNet


def build(weights: str) -> nn.Module:
    """The network of torchvision; for VGGFace2 with the geometry of the Caffe model that those weights come from."""
    network = trunk("resnet50")
    if weights == "vggface2":
        _follow_caffe(network)
    return network


def _follow_caffe(network: ResNet) -> None:
    """Stride in a stage's first 1×1 convolution rather than its 3×3 one, and round the size up in the first pooling.

    The weights load into either geometry, but the features are only right in this one.
    """
    from torch import nn

    from pipeline.backbones.parts.resnet import Bottleneck

    network.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=0, ceil_mode=True)
    for stage in (network.layer2, network.layer3, network.layer4):
        first = stage[0]
        assert isinstance(first, Bottleneck)
        first.conv1.stride, first.conv2.stride = first.conv2.stride, first.conv1.stride


def read_vggface2(path: Path) -> StateDict:
    """The user's export of the VGGFace2 ResNet-50; see ``pipeline.backbones.parts.state_dicts`` for its forms.

    Raises:
        WeightsError: no such file, or none of these forms.
    """
    from pipeline.backbones.parts.state_dicts import read_file

    return read_file(path, CLASSIFIER)


RESNET50 = Backbone(
    name="resnet50",
    title="ResNet-50",
    features=2048,
    build=build,
    weights={
        **usual_weights("resnet50"),
        "vggface2": Weights(
            title="VGGFace2",
            origin="your copy of the ResNet-50 of Cao et al. 2018; it may not be redistributed",
            read=read_vggface2,
            # Mean of the VGGFace2 training faces, BGR, 0–255.
            norm=InputNorm(255.0, (91.4953, 103.8827, 131.0912), (1.0, 1.0, 1.0), bgr=True),
            from_file=True,
        ),
    },
)
