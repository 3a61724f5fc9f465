"""A network that was trained elsewhere, after reading: trunk, linear classifier, and information about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from pipeline.backbones.parts.entry import StateDict
from pipeline.config.learning import AugmentParams, LinearModelParams
from pipeline.config.pictures import DEFAULT_FACES, FaceParams
from pipeline.importing.classes import ClassMap

AUGMENT = AugmentParams(crop=(0.85, 1.0), jitter=0.8, grayscale=0.2, blur=0.5, flip=0.5, eval_crop=1.0)
"""Augmentation for methods that train on the target. As elsewhere, predictions use the whole crop."""


@dataclass(frozen=True, eq=False)
class ForeignNetwork:
    """An imported network.

    Attributes:
        params: parameters of the network.
        trunk: its tensors without those of the classifier.
        weight: the classifier's weight, n×d float.
        bias: the classifier's bias, n float.
        classes: the meaning of its n outputs.
        trained_on: its training set: the name of a data set of this project, or other words.
        origin: where it comes from, JSON-serialisable; contains ``from`` and ``licence``.
        faces: how faces are found and cropped for it.
    """

    params: LinearModelParams
    trunk: StateDict
    weight: Tensor
    bias: Tensor
    classes: ClassMap
    trained_on: str
    origin: Mapping[str, Any]
    faces: FaceParams = field(default=DEFAULT_FACES)
