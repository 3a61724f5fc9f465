"""The rules by which the encoder takes something over from a target before its features are computed."""

from dataclasses import dataclass
from typing import Literal

StatisticsRule = Literal["source", "target", "entropy"]
MatchingRule = Literal["never", "always", "entropy"]


@dataclass(frozen=True)
class EncoderRules:
    """When the encoder takes over grey levels or statistics of a target.

    Attributes:
        statistics: ``adapt.encoder_statistics``.
        matching: ``adapt.histogram_matching``.
    """

    statistics: StatisticsRule = "source"
    matching: MatchingRule = "never"

    @property
    def nothing(self) -> bool:
        """Whether the encoder always stays the source's."""
        return self.statistics == "source" and self.matching == "never"


UNCHANGED = EncoderRules()
"""The encoder stays the source's."""
