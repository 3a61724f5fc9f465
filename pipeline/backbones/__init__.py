"""The backbones of the encoder, by name: how each is built, its feature size, the weights it can start from.

A new backbone is its module, its test, one line below and nothing else (docs/extending.md). Entries are light: PyTorch
is imported when one is built.
"""

from pipeline.backbones.dlib import DLIB
from pipeline.backbones.facenet import FACENET
from pipeline.backbones.iresnet50 import IRESNET50
from pipeline.backbones.mini_xception import MINI_XCEPTION
from pipeline.backbones.parts.entry import Backbone, Family, InputNorm, Weights
from pipeline.backbones.resnet10 import RESNET10
from pipeline.backbones.resnet18 import RESNET18
from pipeline.backbones.resnet34 import RESNET34
from pipeline.backbones.resnet50 import RESNET50
from pipeline.backbones.timm import TIMM
from pipeline.backbones.torchvision import TORCHVISION
from pipeline.registry import Registry

__all__ = ["BACKBONES", "Backbone", "Family", "InputNorm", "Weights"]

BACKBONES: Registry[Backbone | Family] = Registry(
    "backbone",
    [
        DLIB,
        RESNET10,
        RESNET18,
        RESNET34,
        RESNET50,
        FACENET,
        IRESNET50,
        MINI_XCEPTION,
        TIMM,
        TORCHVISION,
    ],
    __name__,
)
