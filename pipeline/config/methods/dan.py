"""DAN's parameters."""

from typing import ClassVar

from pipeline.config.methods.space import WEIGHT, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import NonNegativeFloat, PositiveFloat


class DanParams(TwoDomainsParams):
    """DAN's own parameters.

    Attributes:
        weight: λ, weight of the MMD with the mean of the kernels. The released code uses the sum of five kernels, for
            which λ is a fifth of this value.
        kernels: widths of the Gaussians, as multiples of the mean squared distance.
    """

    name: ClassVar[str] = "dan"
    title: ClassVar[str] = "DAN"
    citation: ClassVar[str] = "Long et al., Learning transferable features with deep adaptation networks, ICML 2015"
    implementation: ClassVar[str] = "pipeline.methods.dan:Dan"
    space: ClassVar[Space] = TwoDomainsParams.space | {"weight": WEIGHT}

    weight: NonNegativeFloat = 5.0
    kernels: tuple[PositiveFloat, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
