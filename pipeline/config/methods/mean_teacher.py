"""The mean teacher's parameters."""

from typing import ClassVar

from pipeline.config.methods.space import WEIGHT, Space
from pipeline.config.methods.two_domains import TwoDomainsParams
from pipeline.config.section import Decay, Fraction, NonNegativeFloat


class MeanTeacherParams(TwoDomainsParams):
    """The mean teacher's own parameters.

    Attributes:
        weight: weight of the consistency loss.
        threshold: minimum confidence of the teacher.
        ema: decay of the teacher's weight average.
    """

    name: ClassVar[str] = "mean_teacher"
    title: ClassVar[str] = "Mean teacher"
    citation: ClassVar[str] = "French et al., Self-ensembling for visual domain adaptation, ICLR 2018"
    implementation: ClassVar[str] = "pipeline.methods.mean_teacher:MeanTeacher"
    space: ClassVar[Space] = TwoDomainsParams.space | {"weight": WEIGHT, "threshold": (0.8, 0.9, 0.968)}

    weight: NonNegativeFloat = 3.0
    threshold: Fraction = 0.968
    ema: Decay = 0.99
