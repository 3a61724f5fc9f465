"""CDAN+E's parameters."""

from typing import ClassVar

from pipeline.config.methods.space import WEIGHT, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import NonNegativeFloat, PositiveFloat, PositiveInt


class CdanParams(TwoDomainsParams):
    """As DANN's, with the prediction in what the discriminator sees.

    Attributes:
        weight: of the domain loss, times λ of the progress.
        hidden: width of the discriminator's two hidden layers.
        own_factor: of the discriminator, as in CDAN's released code.
        nesterov: likewise.
        entropy: weigh pictures by how sure their prediction is (+E).
    """

    name: ClassVar[str] = "cdan"
    title: ClassVar[str] = "CDAN+E"
    citation: ClassVar[str] = "Long et al., Conditional adversarial domain adaptation, NeurIPS 2018"
    implementation: ClassVar[str] = "pipeline.methods.cdan:Cdan"
    space: ClassVar[Space] = TwoDomainsParams.space | {"weight": WEIGHT, "entropy": (True, False)}
    ramp: ClassVar[str] = "the discriminator's gradient on the features"

    weight: NonNegativeFloat = 1.0
    hidden: PositiveInt = 1024
    own_factor: PositiveFloat | None = 10.0
    nesterov: bool = True
    entropy: bool = True
