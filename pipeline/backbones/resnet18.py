"""ResNet-18."""

from pipeline.backbones.parts.entry import Backbone
from pipeline.backbones.parts.torchvision_resnet import trunk, usual_weights

RESNET18 = Backbone(
    name="resnet18",
    title="ResNet-18",
    features=512,
    build=lambda _: trunk("resnet18"),
    weights=usual_weights("resnet18"),
)
