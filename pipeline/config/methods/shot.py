"""SHOT's parameters."""

from typing import ClassVar, Literal

from pipeline.config.methods.space import WEIGHT, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import NonNegativeFloat


class ShotParams(TwoDomainsParams):
    """SHOT's own parameters: information maximisation and pseudo-labels.

    Attributes:
        diversity: of the divergence of the mean prediction from shares of the classes; 0 leaves it out.
        diversity_to: from which shares: uniform (as published, minus the entropy) or estimated (those of the epoch's
            pseudo-labels), for a target whose classes differ in frequency.
        pseudo: β, of the pseudo-labels' cross entropy.
    """

    name: ClassVar[str] = "shot"
    title: ClassVar[str] = "SHOT"
    citation: ClassVar[str] = "Liang et al., Do we really need to access the source data?, ICML 2020"
    implementation: ClassVar[str] = "pipeline.methods.shot:Shot"
    source_free: ClassVar[bool] = True
    space: ClassVar[Space] = TwoDomainsParams.space | {"pseudo": WEIGHT, "diversity_to": ("uniform", "estimated")}

    diversity: NonNegativeFloat = 1.0
    diversity_to: Literal["uniform", "estimated"] = "uniform"
    pseudo: NonNegativeFloat = 0.3
