"""LPL's parameters."""

from typing import ClassVar

from pipeline.config.methods.space import WEIGHT, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import NonNegativeFloat, PositiveInt


class LplParams(TwoDomainsParams):
    """LPL's own parameters.

    Attributes:
        weight: λ, weight of the locality-preserving loss.
        neighbours: k, number of nearest neighbours of the same class.
        bank: maximum number of recent pictures among which neighbours are searched; less than the source has.
    """

    name: ClassVar[str] = "lpl"
    title: ClassVar[str] = "LPL"
    citation: ClassVar[str] = "Li, Deng and Du, Reliable crowdsourcing and deep locality-preserving learning, CVPR 2017"
    implementation: ClassVar[str] = "pipeline.methods.lpl:Lpl"
    uses_target: ClassVar[bool] = False
    space: ClassVar[Space] = TwoDomainsParams.space | {"weight": WEIGHT}

    weight: NonNegativeFloat = 0.003
    neighbours: PositiveInt = 20
    bank: PositiveInt = 2048
