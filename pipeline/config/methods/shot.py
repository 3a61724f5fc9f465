"""SHOT's parameters."""

from typing import ClassVar, Literal

from pipeline.config.methods.space import WEIGHT, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import NonNegativeFloat


class ShotParams(TwoDomainsParams):
    """SHOT's own parameters: information maximisation and pseudo-labels.

    Attributes:
        diversity: weight of the divergence of the mean prediction from given class shares; 0: no such term.
        diversity_to: the class shares: uniform (as published: the negative entropy) or estimated (those of the epoch's
            pseudo-labels), for an imbalanced target.
        pseudo: β, weight of the cross entropy on pseudo-labels.
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
