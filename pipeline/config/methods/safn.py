"""SAFN's parameters."""

from typing import ClassVar

from pipeline.config.methods.space import WEIGHT, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import NonNegativeFloat, PositiveFloat


class SafnParams(TwoDomainsParams):
    """SAFN's own parameters.

    Attributes:
        weight: λ, weight of the norm loss.
        step: Δr, intended growth of the feature norm in each step.
    """

    name: ClassVar[str] = "safn"
    title: ClassVar[str] = "SAFN"
    citation: ClassVar[str] = "Xu et al., Larger norm more transferable: an adaptive feature norm approach, ICCV 2019"
    needs_encoder: ClassVar[bool] = True
    ranked: ClassVar[bool] = False
    implementation: ClassVar[str] = "pipeline.methods.safn:Safn"
    space: ClassVar[Space] = TwoDomainsParams.space | {"weight": WEIGHT}

    weight: NonNegativeFloat = 0.05
    step: PositiveFloat = 1.0
