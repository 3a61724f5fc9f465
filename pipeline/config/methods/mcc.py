"""MCC's parameters."""

from typing import ClassVar

from pipeline.config.methods.space import WEIGHT, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import NonNegativeFloat, PositiveFloat


class MccParams(TwoDomainsParams):
    """MCC's own parameters.

    Attributes:
        weight: weight of the class confusion.
        temperature: divides the target's logits.
    """

    name: ClassVar[str] = "mcc"
    title: ClassVar[str] = "MCC"
    citation: ClassVar[str] = "Jin et al., Minimum class confusion for versatile domain adaptation, ECCV 2020"
    implementation: ClassVar[str] = "pipeline.methods.mcc:Mcc"
    space: ClassVar[Space] = TwoDomainsParams.space | {"weight": WEIGHT, "temperature": (1.5, 2.5, 4.0)}

    weight: NonNegativeFloat = 1.0
    temperature: PositiveFloat = 2.5
