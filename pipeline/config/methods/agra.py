"""AGRA's parameters."""

from typing import ClassVar

from pipeline.config.methods.space import WEIGHT, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import Fraction, Momentum, NonNegativeFloat, PositiveFloat, PositiveInt


class AgraParams(TwoDomainsParams):
    """AGRA's own parameters.

    Attributes:
        weight: weight of the domain loss, in addition to λ_t.
        local_weight: weight of the cross entropy on the local features.
        own_factor: learning rate of branches, graphs and discriminator over lr, as in the released code.
        hidden: width of the discriminator's two hidden layers.
        dropout: dropout rate of the graphs' inner features.
        momentum_of_means: weight of new features when a cluster mean is updated.
        gathered: a cluster mean is updated once more than this many pictures were assigned to it.
        recluster: epochs between two clusterings.
    """

    name: ClassVar[str] = "agra"
    title: ClassVar[str] = "AGRA"
    citation: ClassVar[str] = (
        "Xie et al., Adversarial graph representation adaptation for cross-domain facial expression recognition, "
        "ACM MM 2020"
    )
    needs_encoder: ClassVar[bool] = True
    implementation: ClassVar[str] = "pipeline.methods.agra:Agra"
    ramp: ClassVar[str] = "the discriminator's gradient on the features"
    classifier: ClassVar[str] = "pipeline.methods.agra:AgraClassifier"
    space: ClassVar[Space] = TwoDomainsParams.space | {"weight": WEIGHT, "local_weight": WEIGHT}

    weight: NonNegativeFloat = 1.0
    local_weight: NonNegativeFloat = 1.0
    own_factor: PositiveFloat | None = 10.0
    hidden: PositiveInt = 512
    dropout: Momentum = 0.5
    momentum_of_means: Fraction = 0.1
    gathered: PositiveInt = 32
    recluster: PositiveInt = 10
