"""AdaBN's parameters."""

from typing import ClassVar, Literal

from pipeline.config.methods.base import AdaptParams, Changes


class AdabnParams(AdaptParams):
    """AdaBN has no parameters of its own: only batch-norm statistics are re-estimated."""

    name: ClassVar[str] = "adabn"
    title: ClassVar[str] = "AdaBN"
    citation: ClassVar[str] = (
        "Li et al., Revisiting batch normalization for practical domain adaptation, ICLR 2017 workshops"
    )
    implementation: ClassVar[str] = "pipeline.methods.adabn:Adabn"
    source_free: ClassVar[bool] = True
    changes: ClassVar[Changes] = "statistics"
    works_by_norms: ClassVar[Literal["none", "batch", "all"]] = "batch"
