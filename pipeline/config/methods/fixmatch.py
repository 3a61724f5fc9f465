"""FixMatch's parameters, with RLSbench's two steps."""

from typing import ClassVar, Literal

from pipeline.config.methods.space import WEIGHT, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import Fraction, NonNegativeFloat


class FixmatchParams(TwoDomainsParams):
    """FixMatch's own parameters, with RLSbench's values.

    Attributes:
        weight: weight of the cross entropy on the target.
        threshold: minimum confidence of a pseudo-label.
        sampling: balanced (all classes equally frequent in batches, in the target by pseudo-labels) or uniform.
        reweighted: re-weight predictions by the estimated class shares of the target.
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
