"""Inception-ResNet-v1 (Szegedy et al., AAAI 2017) as FaceNet's later models have it; tensors as in facenet-pytorch.

There the stem is smaller than the paper's, and the pooled features go through a linear layer and a batch norm: the
512-d embedding that faces are compared by.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

EMBEDDING = 512
EPSILON = 1e-3
"""Of the batch norms: TensorFlow's, in which the published weights were trained."""


class Unit(nn.Module):
    """Convolution, batch norm, ReLU. N×narrow×H×W in.

    Args:
        narrow: channels in.
        wide: channels out.
        kernel: height and width.
        stride: of the convolution.
        same: pad the edges, so that stride 1 keeps H×W; else no edge is padded.
    """

    def __init__(
        self, narrow: int, wide: int, kernel: tuple[int, int] = (1, 1), stride: int = 1, same: bool = True
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2) if same else 0
        self.conv = nn.Conv2d(narrow, wide, kernel, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(wide, eps=EPSILON)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        activations: Tensor = self.relu(self.bn(self.conv(images)))
        return activations


class Branches(nn.Module):
    """Modules side by side, ``branch0``, ``branch1`` …: all have the same input; outputs are concatenated in C."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.names = [f"branch{place}" for place in range(len(branches))]
        for name, branch in zip(self.names, branches, strict=True):
            self.add_module(name, branch)

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self.get_submodule(name)(images) for name in self.names], dim=1)


class Residual(Branches):
    """x + scale · conv(branches(x)), then ReLU unless it is the last.

    Args:
        inner: channels of all branches' outputs together.
        channels: of x and the output.
        scale: of the residual.
        *branches: as ``Branches``.
        last: without ReLU.
    """

    def __init__(self, inner: int, channels: int, scale: float, *branches: nn.Module, last: bool = False) -> None:
        super().__init__(*branches)
        self.conv2d = nn.Conv2d(inner, channels, 1)
        self.scale = scale
        self.relu = nn.Identity() if last else nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        """N×channels×H×W in, the same shape out."""
        outer: Tensor = self.relu(self.conv2d(super().forward(images)) * self.scale + images)
        return outer


def _block35() -> Residual:
    """On 35×35 maps, in the paper's count: of 299×299 pictures."""
    third = nn.Sequential(Unit(256, 32), Unit(32, 32, (3, 3)), Unit(32, 32, (3, 3)))
    return Residual(96, 256, 0.17, Unit(256, 32), nn.Sequential(Unit(256, 32), Unit(32, 32, (3, 3))), third)


def _block17() -> Residual:
    second = nn.Sequential(Unit(896, 128), Unit(128, 128, (1, 7)), Unit(128, 128, (7, 1)))
    return Residual(256, 896, 0.1, Unit(896, 128), second)


def _block8(scale: float = 0.2, last: bool = False) -> Residual:
    second = nn.Sequential(Unit(1792, 192), Unit(192, 192, (1, 3)), Unit(192, 192, (3, 1)))
    return Residual(384, 1792, scale, Unit(1792, 192), second, last=last)


def _halving(narrow: int, wide: int) -> Unit:
    return Unit(narrow, wide, (3, 3), stride=2, same=False)


def _mixed_6a() -> Branches:
    second = nn.Sequential(Unit(256, 192), Unit(192, 192, (3, 3)), _halving(192, 256))
    return Branches(_halving(256, 384), second, nn.MaxPool2d(3, stride=2))


def _mixed_7a() -> Branches:
    first = nn.Sequential(Unit(896, 256), _halving(256, 384))
    second = nn.Sequential(Unit(896, 256), _halving(256, 256))
    third = nn.Sequential(Unit(896, 256), Unit(256, 256, (3, 3)), _halving(256, 256))
    return Branches(first, second, third, nn.MaxPool2d(3, stride=2))


def inception_resnet() -> nn.Sequential:
    """N×3×S×S in, S of 75 and more; N×512 out, not normalised. facenet-pytorch's dropout, at 0.6, is left out."""
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv2d_1a=_halving(3, 32),
            conv2d_2a=Unit(32, 32, (3, 3), same=False),
            conv2d_2b=Unit(32, 64, (3, 3)),
            maxpool_3a=nn.MaxPool2d(3, stride=2),
            conv2d_3b=Unit(64, 80),
            conv2d_4a=Unit(80, 192, (3, 3), same=False),
            conv2d_4b=_halving(192, 256),
            repeat_1=nn.Sequential(*(_block35() for _ in range(5))),
            mixed_6a=_mixed_6a(),
            repeat_2=nn.Sequential(*(_block17() for _ in range(10))),
            mixed_7a=_mixed_7a(),
            repeat_3=nn.Sequential(*(_block8() for _ in range(5))),
            block8=_block8(scale=1.0, last=True),
            avgpool_1a=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            last_linear=nn.Linear(1792, EMBEDDING, bias=False),
            last_bn=nn.BatchNorm1d(EMBEDDING, eps=EPSILON),
        )
    )
