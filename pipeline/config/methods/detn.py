"""DETN's parameters."""

from typing import ClassVar

from pipeline.config.methods.space import WEIGHT, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import NonNegativeFloat, PositiveFloat


class DetnParams(TwoDomainsParams):
    """DETN's own parameters.

    Attributes:
        weight: weight of the MMD.
        kernels: as in DAN.
        cap: maximum weight of a class, the ratio of its shares in target and source.
    """

    name: ClassVar[str] = "detn"
    title: ClassVar[str] = "DETN"
    citation: ClassVar[str] = (
        "Li and Deng, Deep emotion transfer network for cross-database facial expression recognition, ICPR 2018"
    )
    implementation: ClassVar[str] = "pipeline.methods.detn:Detn"
    space: ClassVar[Space] = TwoDomainsParams.space | {"weight": WEIGHT}

    weight: NonNegativeFloat = 1.0
    kernels: tuple[PositiveFloat, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    cap: PositiveFloat = 8.0
