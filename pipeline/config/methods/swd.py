"""SWD's parameters."""

from typing import ClassVar

from pipeline.config.methods.space import Space
from pipeline.config.methods.two_domains import TwoClassifiersParams
from pipeline.config.section import PositiveInt


class SwdParams(TwoClassifiersParams):
    """SWD's own parameters.

    Attributes:
        directions: number of directions on which the classifiers' outputs are projected.
    """

    name: ClassVar[str] = "swd"
    title: ClassVar[str] = "SWD"
    citation: ClassVar[str] = "Lee et al., Sliced Wasserstein discrepancy for unsupervised domain adaptation, CVPR 2019"
    implementation: ClassVar[str] = "pipeline.methods.swd:Swd"
    space: ClassVar[Space] = TwoClassifiersParams.space | {"repeats": (1, 2, 4)}

    repeats: PositiveInt = 1
    directions: PositiveInt = 128
