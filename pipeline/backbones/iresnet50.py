"""IR-50, the residual network of face recognition, with the weights of ArcFace (insightface) or AdaFace."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.backbones.parts.entry import RANDOM, Backbone, InputNorm, StateDict, Weights

if TYPE_CHECKING:
    from torch import nn

MEAN = STD = (0.5, 0.5, 0.5)
BLOCK = ("bn1", "conv1", "bn2", "prelu", "conv2", "bn3")
"""A block's layers in their order, which AdaFace numbers."""
OUTER = {
    "input_layer.0": "conv1",
    "input_layer.1": "bn1",
    "input_layer.2": "prelu",
    "output_layer.0": "bn2",
    "output_layer.3": "fc",
    "output_layer.4": "features",
}


def build(weights: str) -> nn.Module:
    """The iresnet50 of insightface; for AdaFace with the first shortcut that its networks have."""
    from pipeline.backbones.parts.ir_resnet import DEPTHS_50, IRResNet

    return IRResNet(DEPTHS_50, plain_shortcut=weights == "adaface")


def read_arcface(path: Path) -> StateDict:
    """A backbone of insightface's arcface_torch; see ``pipeline.backbones.parts.state_dicts`` for its forms.

    Raises:
        WeightsError: no such file, or none of these forms.
    """
    from pipeline.backbones.parts.state_dicts import read_file

    return read_file(path)


def read_adaface(path: Path) -> StateDict:
    """A checkpoint of AdaFace's releases, its tensors under insightface's names; the head (``head.…``) is not used.

    Its last batch norm has neither weight nor bias, which are 1 and 0.

    Raises:
        WeightsError: no such file, or none of these forms.
    """
    import torch

    from pipeline.backbones.parts.ir_resnet import EMBEDDING
    from pipeline.backbones.parts.state_dicts import read_file

    state = read_file(path)
    last = {"features.weight": torch.ones(EMBEDDING), "features.bias": torch.zeros(EMBEDDING)}
    return StateDict(
        last | {_insightface_name(key): value for key, value in state.tensors.items()},
        f"{state.origin} (AdaFace's layers by insightface's names)",
        state.record,
        frozenset(key for key in state.tensors if key.startswith("head.")),
    )


def _insightface_name(key: str) -> str:
    """The name of the same tensor in insightface's iresnet50; a name that is none of AdaFace's stays as it is."""
    from pipeline.backbones.parts.ir_resnet import DEPTHS_50

    layer, _, tensor = key.rpartition(".")
    if layer in OUTER:
        return f"{OUTER[layer]}.{tensor}"
    found = re.fullmatch(r"body\.(\d+)\.(?:res_layer\.([0-5])|shortcut_layer\.([01]))", layer)
    if not found or int(found[1]) >= sum(DEPTHS_50):
        return key
    starts = [0, *itertools.accumulate(DEPTHS_50)]
    stage = next(place for place, end in enumerate(starts[1:]) if int(found[1]) < end)
    part = BLOCK[int(found[2])] if found[2] else f"downsample.{found[3]}"
    return f"layer{stage + 1}.{int(found[1]) - starts[stage]}.{part}.{tensor}"


IRESNET50 = Backbone(
    name="iresnet50",
    title="IR-50",
    features=512,
    build=build,
    weights={
        "none": RANDOM,
        "arcface": Weights(
            title="ArcFace",
            origin="your copy of an r50 of insightface's arcface_torch; for non-commercial research only",
            read=read_arcface,
            norm=InputNorm(1.0, MEAN, STD),
            from_file=True,
        ),
        "adaface": Weights(
            title="AdaFace",
            origin="your copy of an R50 of AdaFace's releases",
            read=read_adaface,
            norm=InputNorm(1.0, MEAN, STD, bgr=True),
            from_file=True,
        ),
    },
    sizes=range(112, 113),
)
