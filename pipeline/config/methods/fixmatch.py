"""FixMatch's parameters, with RLSbench's two steps."""

from typing import ClassVar, Literal

from pipeline.config.methods.space import WEIGHT, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import Fraction, NonNegativeFloat


class FixmatchParams(TwoDomainsParams):
    """FixMatch's own parameters, with RLSbench's values.

    Attributes:
        weight: of the target's cross entropy.
        threshold: of the confidence in a pseudo-label.
        sampling: balanced (in batches every class is as frequent as any other, in the target by its pseudo-labels) or
            uniform (every picture).
        reweighted: whether what predicts is weighted by the target's estimated class shares.
    """

    name: ClassVar[str] = "fixmatch"
    title: ClassVar[str] = "FixMatch"
    citation: ClassVar[str] = (
        "Sohn et al., FixMatch, NeurIPS 2020; Garg et al., RLSbench: domain adaptation under relaxed label shift, "
        "ICML 2023"
    )
    implementation: ClassVar[str] = "pipeline.methods.fixmatch:Fixmatch"
    space: ClassVar[Space] = TwoDomainsParams.space | {"weight": WEIGHT, "threshold": (0.7, 0.8, 0.9, 0.95)}

    weight: NonNegativeFloat = 1.0
    threshold: Fraction = 0.9
    sampling: Literal["balanced", "uniform"] = "balanced"
    reweighted: bool = True
