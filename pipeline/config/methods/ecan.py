"""ECAN's parameters."""

from typing import ClassVar

from pipeline.config.methods.space import WEIGHT, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import NonNegativeFloat, PositiveFloat


class EcanParams(TwoDomainsParams):
    """ECAN's own parameters.

    Attributes:
        marginal: weight of the marginal MMD.
        conditional: weight of the class-conditional MMD.
        kernels: as in DAN.
        cap: as in DETN.
    """

    name: ClassVar[str] = "ecan"
    title: ClassVar[str] = "ECAN"
    citation: ClassVar[str] = (
        "Li and Deng, A deeper look at facial expression dataset bias, IEEE Transactions on Affective Computing 2020"
    )
    implementation: ClassVar[str] = "pipeline.methods.ecan:Ecan"
    space: ClassVar[Space] = TwoDomainsParams.space | {"marginal": WEIGHT, "conditional": WEIGHT}

    marginal: NonNegativeFloat = 1.0
    conditional: NonNegativeFloat = 1.0
    kernels: tuple[PositiveFloat, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    cap: PositiveFloat = 8.0
