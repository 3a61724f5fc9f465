"""Search spaces: the values of a method's parameters that a search tries (``adapt.search``)."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Times:
    """Multiples of the configured value.

    Attributes:
        factors: the multipliers. A configured value of None is not varied.
    """

    factors: tuple[float, ...]


Space = dict[str, Times | tuple[Any, ...]]
"""The searched parameters by name, each with multiples or values."""

RATE = Times((1 / 3, 1.0, 3.0, 10.0))
"""Multiples of a learning rate."""
WEIGHT = Times((0.1, 0.3, 1.0, 3.0, 10.0))
"""Multiples of the weight of a loss term."""
