"""Deep CORAL's parameters."""

from typing import ClassVar

from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import NonNegativeFloat


class CoralParams(TwoDomainsParams):
    """Deep CORAL's own parameters.

    Attributes:
        weight: λ of the distance of the covariances.
    """

    name: ClassVar[str] = "coral"
    title: ClassVar[str] = "Deep CORAL"
    citation: ClassVar[str] = (
        "Sun and Saenko, Deep CORAL: correlation alignment for deep domain adaptation, ECCV 2016 workshops"
    )
    implementation: ClassVar[str] = "pipeline.methods.coral:Coral"

    weight: NonNegativeFloat = 1.0
