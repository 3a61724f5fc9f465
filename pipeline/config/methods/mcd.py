"""MCD's parameters."""

from typing import ClassVar

from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import PositiveFloat, PositiveInt


class McdParams(TwoDomainsParams):
    """Three steps a batch.

    repeats: steps of f and g that bring the classifiers together (n of the paper). apart: how far the second classifier
    starts from the first, as a share of the spread of M.
    """

    name: ClassVar[str] = "mcd"
    title: ClassVar[str] = "MCD"
    citation: ClassVar[str] = (
        "Saito et al., Maximum classifier discrepancy for unsupervised domain adaptation, CVPR 2018"
    )
    implementation: ClassVar[str] = "pipeline.methods.mcd:Mcd"

    repeats: PositiveInt = 4
    apart: PositiveFloat = 0.5
