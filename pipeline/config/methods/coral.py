"""Deep CORAL's parameters."""

from typing import ClassVar

from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import NonNegativeFloat


class CoralParams(TwoDomainsParams):
    """Deep CORAL's own parameters.

    Attributes:
        weight: λ, weight of the distance of the covariances. null: 1 in the first epoch, then the ratio of both losses'
            means in the previous epoch, after the paper's rule that both should be about equal at the end.
    """

    name: ClassVar[str] = "coral"
    title: ClassVar[str] = "Deep CORAL"
    citation: ClassVar[str] = (
        "Sun and Saenko, Deep CORAL: correlation alignment for deep domain adaptation, ECCV 2016 workshops"
    )
    implementation: ClassVar[str] = "pipeline.methods.coral:Coral"

    weight: NonNegativeFloat | None = None
