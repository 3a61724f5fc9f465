"""SAR's parameters."""

from typing import ClassVar, Literal

from pipeline.config.methods.space import RATE, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import Fraction, NonNegativeFloat, PositiveFloat


class SarParams(TwoDomainsParams):
    """SAR's own parameters, as published for batches of 64.

    Attributes:
        lr: learning rate of the scales and shifts.
        schedule: as in other methods.
        weight_decay: weight decay of SGD.
        margin: E_0, the entropy below which a prediction is reliable, as a share of the maximum, log k.
        radius: ρ, radius of the sharpness-aware step.
        recover_below: e_0, the average entropy below which the model counts as collapsed and is reset; 0: never.
        fixed: share of the normalisation layers, nearest to the output, that are not trained.
    """

    name: ClassVar[str] = "sar"
    title: ClassVar[str] = "SAR"
    citation: ClassVar[str] = "Niu et al., Towards stable test-time adaptation in dynamic wild world, ICLR 2023"
    implementation: ClassVar[str] = "pipeline.methods.sar:Sar"
    source_free: ClassVar[bool] = True
    space: ClassVar[Space] = {"lr": RATE}
    works_by_norms: ClassVar[Literal["none", "batch", "all"]] = "all"

    lr: PositiveFloat = 2.5e-4
    schedule: Literal["inverse", "constant"] = "constant"
    weight_decay: NonNegativeFloat = 0.0
    margin: Fraction = 0.4
    radius: PositiveFloat = 0.05
    recover_below: NonNegativeFloat = 0.2
    fixed: Fraction = 0.25
