"""Deep CORAL's parameters."""

from typing import ClassVar

from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import NonNegativeFloat


class CoralParams(TwoDomainsParams):
    """Deep CORAL's own parameters.

    Attributes:
        weight: λ of the distance of the covariances; null: by the paper's rule that at the end both losses are about
            the same: in each epoch the ratio of their means in the one before, in the first 1.
    """

    name: ClassVar[str] = "coral"
    title: ClassVar[str] = "Deep CORAL"
    citation: ClassVar[str] = (
        "Sun and Saenko, Deep CORAL: correlation alignment for deep domain adaptation, ECCV 2016 workshops"
    )
    implementation: ClassVar[str] = "pipeline.methods.coral:Coral"

    weight: NonNegativeFloat | None = None
