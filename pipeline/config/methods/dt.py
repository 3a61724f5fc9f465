"""Parameters of DT, direct transfer (paper, sec. 4.3)."""

from typing import ClassVar

from pipeline.config.methods.base import AdaptParams


class DtParams(AdaptParams):
    """DT has no parameters of its own and trains nothing."""

    name: ClassVar[str] = "dt"
    title: ClassVar[str] = "DT"
    citation: ClassVar[str] = "direct transfer, the baseline of every table"
    implementation: ClassVar[str] = "pipeline.methods.dt:DirectTransfer"
    adapts: ClassVar[bool] = False
    source_free: ClassVar[bool] = True
    uses_target: ClassVar[bool] = False
