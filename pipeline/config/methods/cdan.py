"""CDAN+E's parameters."""

from typing import ClassVar

from pipeline.config.methods.space import WEIGHT, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import NonNegativeFloat, PositiveFloat, PositiveInt


class CdanParams(TwoDomainsParams):
    """CDAN's own parameters. The discriminator sees the outer product of z and the probabilities.

    Attributes:
        weight: weight of the domain loss, in addition to λ_t.
        hidden: width of the discriminator's two hidden layers.
        own_factor: learning rate of the discriminator over lr, as in CDAN's released code.
        nesterov: use Nesterov momentum, as in CDAN's released code.
        entropy: weight pictures by the certainty of their prediction (+E).
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
