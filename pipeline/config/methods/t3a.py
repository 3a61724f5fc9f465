"""T3A's parameters."""

from typing import ClassVar

from pipeline.config.methods.base import AdaptParams, Changes
from pipeline.config.methods.space import Space
from pipeline.config.section import PositiveInt


class T3aParams(AdaptParams):
    """T3A's own parameter.

    Attributes:
        supports: M, maximum number of supports per class; null: all. The paper chooses among 1, 5, 20, 50, 100 and all
            by the source's validation set.
    """

    name: ClassVar[str] = "t3a"
    title: ClassVar[str] = "T3A"
    citation: ClassVar[str] = (
        "Iwasawa and Matsuo, Test-time classifier adjustment module for model-agnostic domain generalization, "
        "NeurIPS 2021"
    )
    implementation: ClassVar[str] = "pipeline.methods.t3a:T3a"
    source_free: ClassVar[bool] = True
    changes: ClassVar[Changes] = "decision"
    space: ClassVar[Space] = {"supports": (1, 5, 20, 50, 100, None)}

    supports: PositiveInt | None = 100
