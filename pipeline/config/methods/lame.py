"""LAME's parameters."""

from typing import Annotated, ClassVar

from pydantic import Field

from pipeline.config.methods.base import AdaptParams, Changes
from pipeline.config.methods.space import Space


class LameParams(AdaptParams):
    """LAME's own parameter.

    Attributes:
        neighbours: k of the kNN affinity, the number of neighbours of each target picture.
    """

    name: ClassVar[str] = "lame"
    title: ClassVar[str] = "LAME"
    citation: ClassVar[str] = "Boudiaf et al., Parameter-free online test-time adaptation, CVPR 2022"
    implementation: ClassVar[str] = "pipeline.methods.lame:Lame"
    classifier: ClassVar[str] = "pipeline.methods.lame:LameClassifier"
    source_free: ClassVar[bool] = True
    changes: ClassVar[Changes] = "decision"
    space: ClassVar[Space] = {"neighbours": (1, 3, 5)}

    neighbours: Annotated[int, Field(ge=1, le=20)] = 5
