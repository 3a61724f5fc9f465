"""AaD's parameters."""

from typing import ClassVar

from pipeline.config.methods.space import WEIGHT, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import NonNegativeFloat, PositiveInt


class AadParams(TwoDomainsParams):
    """AaD's own parameters, as published for VisDA.

    Attributes:
        neighbours: number of neighbours of each picture.
        dispersion: initial λ, the weight of the dispersion term.
        decay: β: λ is multiplied by (1 + 10 p)^−β, p: progress.
    """

    name: ClassVar[str] = "aad"
    title: ClassVar[str] = "AaD"
    citation: ClassVar[str] = (
        "Yang et al., Attracting and dispersing: a simple approach for source-free domain adaptation, NeurIPS 2022"
    )
    implementation: ClassVar[str] = "pipeline.methods.aad:Aad"
    source_free: ClassVar[bool] = True
    space: ClassVar[Space] = TwoDomainsParams.space | {"dispersion": WEIGHT, "neighbours": (3, 5, 10)}

    neighbours: PositiveInt = 5
    dispersion: NonNegativeFloat = 1.0
    decay: NonNegativeFloat = 5.0
