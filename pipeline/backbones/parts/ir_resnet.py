"""The improved residual networks of face recognition (ArcFace, Deng et al., CVPR 2019); tensors as in insightface."""

import itertools

from torch import Tensor, nn

WIDTHS = (64, 64, 128, 256, 512)
DEPTHS_50 = (3, 4, 14, 3)
EMBEDDING = 512
LAST_SIDE = 7
"""Of the last maps, of 112×112 pictures: the linear layer after them is made for it."""


class Block(nn.Module):
    """BN → 3×3 → BN → PReLU → 3×3 with the stride → BN, beside a shortcut; no activation after the sum.

    N×narrow×H×W float in, N×wide×H/stride×W/stride out.
    """

    def __init__(self, narrow: int, wide: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(narrow)
        self.conv1 = nn.Conv2d(narrow, wide, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.prelu = nn.PReLU(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, stride=stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(wide)
        self.downsample = downsample

    def forward(self, images: Tensor) -> Tensor:
        shortcut = images if self.downsample is None else self.downsample(images)
        inner = self.prelu(self.bn2(self.conv1(self.bn1(images))))
        outer: Tensor = self.bn3(self.conv2(inner)) + shortcut
        return outer


class IRResNet(nn.Module):
    """N×3×112×112 in, the N×512 embedding out, not normalised. AdaFace's dropout, at 0.4, is left out.

    Args:
        depths: blocks of each stage.
        plain_shortcut: where only the size changes, the shortcut takes every second pixel (AdaFace's networks); else a
            1×1 convolution and a batch norm do it, as wherever the width changes.
    """

    def __init__(self, depths: tuple[int, int, int, int], plain_shortcut: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.prelu = nn.PReLU(WIDTHS[0])
        stages = [
            _stage(narrow, wide, depth, plain_shortcut)
            for (narrow, wide), depth in zip(itertools.pairwise(WIDTHS), depths, strict=True)
        ]
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.bn2 = nn.BatchNorm2d(WIDTHS[-1])
        self.fc = nn.Linear(WIDTHS[-1] * LAST_SIDE**2, EMBEDDING)
        self.features = nn.BatchNorm1d(EMBEDDING)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.prelu(self.bn1(self.conv1(images)))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            maps = stage(maps)
        embedding: Tensor = self.features(self.fc(self.bn2(maps).flatten(1)))
        return embedding


def _stage(narrow: int, wide: int, depth: int, plain_shortcut: bool) -> nn.Sequential:
    """``depth`` blocks, the first of which halves height and width."""
    shortcut: nn.Module
    if plain_shortcut and narrow == wide:
        shortcut = nn.MaxPool2d(1, stride=2)
    else:
        shortcut = nn.Sequential(nn.Conv2d(narrow, wide, 1, stride=2, bias=False), nn.BatchNorm2d(wide))
    return nn.Sequential(Block(narrow, wide, 2, shortcut), *(Block(wide, wide) for _ in range(depth - 1)))
