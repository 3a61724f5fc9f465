"""DFA's parameters."""

from typing import ClassVar

from pipeline.config.methods.space import WEIGHT, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import NonNegativeFloat


class DfaParams(TwoDomainsParams):
    """DFA's own parameters: weights of its three terms.

    Attributes:
        gist: weight of the similarity of the domains' means.
        intra: weight of the similarity within classes.
        inter: weight of the similarity between classes.
    """

    name: ClassVar[str] = "dfa"
    title: ClassVar[str] = "DFA"
    citation: ClassVar[str] = (
        "Zhu, Sang and Zhao, Discriminative feature adaptation for cross-domain facial expression recognition, ICB 2016"
    )
    implementation: ClassVar[str] = "pipeline.methods.dfa:Dfa"
    space: ClassVar[Space] = TwoDomainsParams.space | {"gist": WEIGHT, "intra": WEIGHT, "inter": WEIGHT}

    gist: NonNegativeFloat = 1.0
    intra: NonNegativeFloat = 1.0
    inter: NonNegativeFloat = 1.0
