"""Parameters of the centroid method."""

from typing import ClassVar

from pipeline.config.methods.base import AdaptParams, Changes
from pipeline.config.methods.space import Space
from pipeline.config.section import PositiveInt


class CentroidParams(AdaptParams):
    """SHOT's relabelling as a separate method.

    Attributes:
        rounds: how often centroids are computed: first from all pictures, weighted by the predictions, then from the
            pictures nearest to each centroid.
    """

    name: ClassVar[str] = "centroid"
    title: ClassVar[str] = "Centroids"
    citation: ClassVar[str] = "pseudo-labels of Liang et al., Do we really need to access the source data?, ICML 2020"
    implementation: ClassVar[str] = "pipeline.methods.centroid:Centroid"
    source_free: ClassVar[bool] = True
    changes: ClassVar[Changes] = "decision"
    space: ClassVar[Space] = {"rounds": (1, 2, 3)}

    rounds: PositiveInt = 2
