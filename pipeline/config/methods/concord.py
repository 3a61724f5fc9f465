"""Concord's parameters."""

from typing import ClassVar, Literal

from pipeline.config.methods.space import WEIGHT, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import BatchNormMode, ClassWeights, Fraction, Momentum, NonNegativeFloat, PositiveFloat


class ConcordParams(TwoDomainsParams):
    """Concord's own parameters, and learning rates for training the head (docs/concord.md).

    Attributes:
        pseudo: weight of the cross entropy on trusted pseudo-labels.
        agreement: trust only pictures for which prototypes and centroids agree.
        trusted_share: maximum share of trusted pictures per pseudo-label; the most confident ones are taken.
        information: weight of information maximisation towards the class shares of the pseudo-labels.
        shift: compute pseudo-labels from z after the class-aware shift to the source.
    """

    name: ClassVar[str] = "concord"
    title: ClassVar[str] = "Concord"
    citation: ClassVar[str] = "this project, docs/concord.md"
    implementation: ClassVar[str] = "pipeline.methods.concord:Concord"
    space: ClassVar[Space] = TwoDomainsParams.space | {
        "pseudo": WEIGHT,
        "information": WEIGHT,
        "trusted_share": (0.3, 0.5, 0.8),
    }

    lr: PositiveFloat = 3e-2
    prototype_lr: PositiveFloat = 3e-2
    schedule: Literal["inverse", "constant"] = "constant"
    weight_decay: NonNegativeFloat = 1e-5
    class_weights: ClassWeights = "printed"
    logit_adjustment: Fraction = 1.0
    domain_passes: Literal["joint", "separate"] = "separate"
    batch_norm: BatchNormMode = "frozen"
    ema: Momentum = 0.99
    pseudo: NonNegativeFloat = 1.0
    agreement: bool = True
    trusted_share: Fraction = 0.5
    information: NonNegativeFloat = 0.5
    shift: bool = False

    def left_out(self) -> tuple[str, ...]:
        """Return the parts that these parameters switch off."""
        parts = {
            "pseudo-labels": self.pseudo > 0,
            "agreement": self.agreement,
            "information": self.information > 0,
        }
        return tuple(part for part, used in parts.items() if not used)
