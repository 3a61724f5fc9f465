"""Tent's parameters."""

from typing import ClassVar, Literal

from pipeline.config.methods.space import RATE, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import NonNegativeFloat, PositiveFloat


class TentParams(TwoDomainsParams):
    """Tent's parameters, as published for ImageNet's size.

    Attributes:
        lr: learning rate of the scales and shifts.
        schedule: as in other methods.
        weight_decay: weight decay of SGD.
    """

    name: ClassVar[str] = "tent"
    title: ClassVar[str] = "Tent"
    citation: ClassVar[str] = "Wang et al., Tent: fully test-time adaptation by entropy minimization, ICLR 2021"
    implementation: ClassVar[str] = "pipeline.methods.tent:Tent"
    source_free: ClassVar[bool] = True
    space: ClassVar[Space] = {"lr": RATE}
    works_by_norms: ClassVar[Literal["none", "batch", "all"]] = "batch"

    lr: PositiveFloat = 2.5e-4
    schedule: Literal["inverse", "constant"] = "constant"
    weight_decay: NonNegativeFloat = 0.0
