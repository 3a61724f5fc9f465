"""A network that was trained elsewhere, as it was read: its trunk, its linear classifier, and what is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from pipeline.backbones.parts.entry import StateDict
from pipeline.config.learning import AugmentParams, LinearModelParams
from pipeline.config.pictures import DEFAULT_FACES, FaceParams
from pipeline.importing.classes import ClassMap

AUGMENT = AugmentParams(crop=(0.85, 1.0), jitter=0.8, grayscale=0.2, blur=0.5, flip=0.5, eval_crop=1.0)
"""Training views of methods that train on the target; what is predicted from is the whole crop, as elsewhere."""


@dataclass(frozen=True, eq=False)
class ForeignNetwork:
    """What is imported.

    Attributes:
        params: of the network.
        trunk: its tensors but for the classifier's.
        weight: of the classifier, n×d float.
        bias: of the classifier, n float.
        classes: what its n outputs mean.
        trained_on: what it was trained on, a data set of this project by its name or other words.
        origin: where it is from, as JSON can hold it; ``from`` and ``licence`` among it.
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
