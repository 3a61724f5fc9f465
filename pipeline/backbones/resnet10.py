"""The demo's encoder, made for CPUs: a ResNet-10 of half the usual width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.backbones.parts.entry import Backbone

if TYPE_CHECKING:
    from torch import nn


def build(_: str) -> nn.Module:
    """32 to 256 channels, 256-d features; torchvision has no such network."""
    import itertools

    from torch import nn

    from pipeline.backbones.parts.resnet import BasicBlock

    widths = (32, 64, 128, 256)
    blocks: list[nn.Module] = [BasicBlock(32, 32)]
    for narrow, wide in itertools.pairwise(widths):
        shortcut = nn.Sequential(nn.Conv2d(narrow, wide, 1, stride=2, bias=False), nn.BatchNorm2d(wide))
        blocks.append(BasicBlock(narrow, wide, stride=2, downsample=shortcut))
    stem = nn.Sequential(
        nn.Conv2d(3, 32, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    )
    trunk = nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return trunk


RESNET10 = Backbone(name="resnet10", title="ResNet-10", features=256, build=build)
