"""DANN's parameters."""

from typing import ClassVar

from pipeline.config.methods.space import WEIGHT, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import NonNegativeFloat, PositiveFloat, PositiveInt


class DannParams(TwoDomainsParams):
    """DANN's own parameters.

    Attributes:
        weight: weight of the domain loss, in addition to λ_t.
        hidden: width of the discriminator's two hidden layers.
        own_factor: learning rate of the discriminator over lr, as in CDAN's released code.
        nesterov: use Nesterov momentum, as in CDAN's released code.
    """

    name: ClassVar[str] = "dann"
    title: ClassVar[str] = "DANN"
    citation: ClassVar[str] = "Ganin et al., Domain-adversarial training of neural networks, JMLR 2016"
    implementation: ClassVar[str] = "pipeline.methods.dann:Dann"
    space: ClassVar[Space] = TwoDomainsParams.space | {"weight": WEIGHT}
    ramp: ClassVar[str] = "the discriminator's gradient on the features"

    weight: NonNegativeFloat = 1.0
    hidden: PositiveInt = 1024
    own_factor: PositiveFloat | None = 10.0
    nesterov: bool = True
