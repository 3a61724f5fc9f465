"""MCD's parameters."""

from typing import ClassVar

from pipeline.config.methods.space import Space
from pipeline.config.methods.two_domains import TwoClassifiersParams
from pipeline.config.section import PositiveInt


class McdParams(TwoClassifiersParams):
    """The parameters of methods with two classifiers, with MCD's published values."""

    name: ClassVar[str] = "mcd"
    title: ClassVar[str] = "MCD"
    citation: ClassVar[str] = (
        "Saito et al., Maximum classifier discrepancy for unsupervised domain adaptation, CVPR 2018"
    )
    implementation: ClassVar[str] = "pipeline.methods.mcd:Mcd"
    space: ClassVar[Space] = TwoClassifiersParams.space | {"repeats": (1, 2, 3, 4)}

    repeats: PositiveInt = 4
