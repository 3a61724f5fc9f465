"""torchvision's residual networks (He et al., CVPR 2016) without their classifier, and their ImageNet weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.backbones.parts.entry import RANDOM, InputNorm, StateDict, Weights

if TYPE_CHECKING:
    from pipeline.backbones.parts.resnet import ResNet

DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
BOTTLENECKS = ("resnet50",)
"""Blocks of each stage, and which networks have the block of three convolutions."""

CLASSIFIER = frozenset({"fc.weight", "fc.bias"})


def trunk(name: str) -> ResNet:
    """The network of torchvision's ``name`` up to its pooled features, with random weights."""
    from pipeline.backbones.parts.resnet import BasicBlock, Bottleneck, ResNet

    return ResNet(Bottleneck if name in BOTTLENECKS else BasicBlock, DEPTHS[name])


def imagenet(name: str) -> Weights:
    """ImageNet weights of torchvision's ``name``, from its own registry (downloaded by torchvision, once)."""

    def read(_: Path) -> StateDict:
        import torchvision

        entry = torchvision.models.get_model_weights(name).DEFAULT
        tensors = entry.get_state_dict(progress=True)
        return StateDict(tensors, str(entry), {"weights_name": str(entry)}, CLASSIFIER)

    return Weights(
        title="ImageNet",
        origin="torchvision's weight registry; torchvision downloads them",
        read=read,
        norm=InputNorm(1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    )


def usual_weights(name: str) -> dict[str, Weights]:
    """What every one of these networks can start from, by name."""
    return {"none": RANDOM, "imagenet": imagenet(name)}
