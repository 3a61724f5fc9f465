"""FaceNet's Inception-ResNet-v1, with the weights of David Sandberg's facenet as facenet-pytorch publishes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.backbones.parts.entry import RANDOM, SIZES, Backbone, InputNorm, StateDict, Weights

if TYPE_CHECKING:
    from torch import nn

CLASSIFIER = frozenset({"logits.weight", "logits.bias"})
SMALLEST = 75
"""Below this the network's last reduction has no 3×3 window left."""


def build(_: str) -> nn.Module:
    """The network up to its embedding, 512-d: the layer that the weights' authors compare faces by.

    Not the pooled features before it, 1,792-d: the encoder keeps only the direction of its features, which
    distinguishes pictures well where features are centred and scaled, as the embedding is by its batch norm.
    """
    from pipeline.backbones.parts.inception_resnet import inception_resnet

    return inception_resnet()


def read(path: Path) -> StateDict:
    """A state dict of facenet-pytorch's releases; see ``pipeline.backbones.parts.state_dicts`` for its forms.

    Raises:
        WeightsError: no such file, or none of these forms.
    """
    from pipeline.backbones.parts.state_dicts import read_file

    return read_file(path, CLASSIFIER)


def _released(people: str, name: str) -> Weights:
    return Weights(
        title=people,
        origin=f"your copy of {name} of facenet-pytorch's releases",
        read=read,
        norm=InputNorm(255.0, (127.5, 127.5, 127.5), (128.0, 128.0, 128.0)),
        from_file=True,
    )


FACENET = Backbone(
    name="facenet",
    title="Inception-ResNet-v1",
    features=512,
    build=build,
    weights={
        "none": RANDOM,
        "vggface2": _released("VGGFace2", "20180402-114759-vggface2.pt"),
        "casia_webface": _released("CASIA-WebFace", "20180408-102900-casia-webface.pt"),
    },
    sizes=range(SMALLEST, SIZES.stop),
)
