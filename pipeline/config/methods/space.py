"""How a method declares the configurations that a search tries (``adapt.search``)."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Times:
    """Multiples of the value that is configured.

    Attributes:
        factors: what it is multiplied by; a value of None stays as it is.
    """

    factors: tuple[float, ...]


Space = dict[str, Times | tuple[Any, ...]]
"""A method's parameters that a search varies, each with its multiples or its values."""

RATE = Times((1 / 3, 1.0, 3.0, 10.0))
"""Of a learning rate."""
WEIGHT = Times((0.1, 0.3, 1.0, 3.0, 10.0))
"""Of a term of the loss."""
