"""ICID's parameters."""

from typing import ClassVar

from pipeline.config.methods.space import WEIGHT, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import NonNegativeFloat


class IcidParams(TwoDomainsParams):
    """ICID's own parameters: weights of the losses of its two channels.

    Attributes:
        common: weight of the loss on intra-class common features.
        distinct: weight of the loss on inter-class distinct features.
    """

    name: ClassVar[str] = "icid"
    title: ClassVar[str] = "ICID"
    citation: ClassVar[str] = (
        "Ji et al., Cross-domain facial expression recognition via an intra-category common feature and inter-category "
        "distinction feature fusion network, Neurocomputing 2019"
    )
    implementation: ClassVar[str] = "pipeline.methods.icid:Icid"
    uses_target: ClassVar[bool] = False
    space: ClassVar[Space] = TwoDomainsParams.space | {"common": WEIGHT, "distinct": WEIGHT}

    common: NonNegativeFloat = 1.0
    distinct: NonNegativeFloat = 1.0
