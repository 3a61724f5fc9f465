"""ResNet-34."""

from pipeline.backbones.parts.entry import Backbone
from pipeline.backbones.parts.torchvision_resnet import trunk, usual_weights

RESNET34 = Backbone(
    name="resnet34",
    title="ResNet-34",
    features=512,
    build=lambda _: trunk("resnet34"),
    weights=usual_weights("resnet34"),
)
