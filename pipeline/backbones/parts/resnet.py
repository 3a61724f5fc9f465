"""Residual networks (He et al., CVPR 2016), with the tensors' names that torchvision's have.

They are built here because importing torchvision costs two seconds of processor time, more than a photograph's faces.
"""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = 1000
"""Of torchvision's classifier."""


class BasicBlock(nn.Module):
    """The basic block, two 3×3 convolutions beside a shortcut.

    Args:
        narrow: channels in; N×narrow×H×W float.
        wide: channels out; N×wide×H/stride×W/stride.
        stride: of the first convolution.
        downsample: the shortcut, where the shape changes.
    """

    expansion: ClassVar = 1

    def __init__(self, narrow: int, wide: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(narrow, wide, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.downsample = downsample

    def forward(self, images: Tensor) -> Tensor:
        shortcut = images if self.downsample is None else self.downsample(images)
        inner = self.relu(self.bn1(self.conv1(images)))
        outer: Tensor = self.relu(self.bn2(self.conv2(inner)) + shortcut)
        return outer


class Bottleneck(nn.Module):
    """The block of the deeper networks: a 3×3 convolution between two of 1×1, the last to four times the channels.

    Args:
        narrow: channels in; N×narrow×H×W float.
        wide: channels of the 3×3 convolution; N×4·wide×H/stride×W/stride float comes out.
        stride: of the 3×3 convolution, as torchvision has it.
        downsample: the shortcut, where the shape changes.
    """

    expansion: ClassVar = 4

    def __init__(self, narrow: int, wide: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(narrow, wide, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.conv3 = nn.Conv2d(wide, self.expansion * wide, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(self.expansion * wide)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, images: Tensor) -> Tensor:
        shortcut = images if self.downsample is None else self.downsample(images)
        inner = self.relu(self.bn1(self.conv1(images)))
        inner = self.relu(self.bn2(self.conv2(inner)))
        outer: Tensor = self.relu(self.bn3(self.conv3(inner)) + shortcut)
        return outer


class ResNet(nn.Module):
    """A residual network up to its pooled features: N×3×H×W float in, N×512·expansion out.

    Args:
        block: what it is made of.
        depths: blocks of each of the four stages.
    """

    def __init__(self, block: type[BasicBlock] | type[Bottleneck], depths: Sequence[int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels, stages = 64, []
        for wide, depth, stride in zip((64, 128, 256, 512), depths, (1, 2, 2, 2), strict=True):
            stages.append(_stage(block, channels, wide, depth, stride))
            channels = block.expansion * wide
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        # Drawn and left: with it a seed gives the weights that torchvision's network has.
        nn.Linear(channels, CLASSES)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        stem = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        features: Tensor = self.avgpool(self.layer4(self.layer3(self.layer2(self.layer1(stem)))))
        return features.flatten(1)


def _stage(
    block: type[BasicBlock] | type[Bottleneck], channels: int, wide: int, depth: int, stride: int
) -> nn.Sequential:
    """Blocks of one width; the first changes the shape, and so does its shortcut."""
    out, shortcut = block.expansion * wide, None
    if stride != 1 or channels != out:
        shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out))
    first = block(channels, wide, stride, shortcut)
    return nn.Sequential(first, *(block(out, wide) for _ in range(depth - 1)))


class PaddedBlock(nn.Module):
    """The block of dlib's networks, whose shortcut has no weights.

    Two 3×3 convolutions beside a shortcut; where they widen or shrink, zeros fill what one of the two lacks.

    Args:
        narrow: channels in; N×narrow×H×W float.
        wide: channels out; N×wide×H'×W'.
        halves: the first convolution strides by 2 without padding and the shortcut is 2×2 average pooling, so the two
            may differ by a row and a column; dlib's sum has the larger size of both.
    """

    def __init__(self, narrow: int, wide: int, halves: bool) -> None:
        super().__init__()
        stride, padding = (2, 0) if halves else (1, 1)
        self.conv1 = nn.Conv2d(narrow, wide, 3, stride=stride, padding=padding, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.shortcut = nn.AvgPool2d(2) if halves else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(images)))))
        outer = self.shortcut(images)
        size = [max(a, b) for a, b in zip(inner.shape[1:], outer.shape[1:], strict=True)]
        summed: Tensor = self.relu(_filled(inner, size) + _filled(outer, size))
        return summed


def _filled(tensor: Tensor, size: list[int]) -> Tensor:
    """Pad N×C×H×W with zeros after its channels, rows and columns, to ``size``."""
    channels, rows, columns = (wanted - have for wanted, have in zip(size, tensor.shape[1:], strict=True))
    if channels == rows == columns == 0:
        return tensor
    return F.pad(tensor, (0, columns, 0, rows, 0, channels))
