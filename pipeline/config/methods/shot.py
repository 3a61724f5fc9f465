"""SHOT's parameters."""

from typing import ClassVar

from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import NonNegativeFloat


class ShotParams(TwoDomainsParams):
    """SHOT's own parameters: information maximisation and pseudo-labels.

    Attributes:
        diversity: of the entropy of the mean prediction; 0 leaves it out.
        pseudo: β, of the pseudo-labels' cross entropy.
    """

    name: ClassVar[str] = "shot"
    title: ClassVar[str] = "SHOT"
    citation: ClassVar[str] = "Liang et al., Do we really need to access the source data?, ICML 2020"
    implementation: ClassVar[str] = "pipeline.methods.shot:Shot"
    source_free: ClassVar[bool] = True

    diversity: NonNegativeFloat = 1.0
    pseudo: NonNegativeFloat = 0.3
