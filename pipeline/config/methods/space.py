"""The configurations of a method that a search tries (``adapt.search``)."""

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

if TYPE_CHECKING:
    from pipeline.config.methods.base import AdaptParams


@dataclass(frozen=True)
class Times:
    """Multiples of the value that is configured.

    Attributes:
        factors: what it is multiplied by; a value of None stays as it is.
    """

    factors: tuple[float, ...]


Space = Mapping[str, Times | tuple[Any, ...]]
"""A method's parameters that a search varies, each with its multiples or its values."""

RATE = Times((1 / 3, 1.0, 3.0, 10.0))
"""Of a learning rate."""
WEIGHT = Times((0.1, 0.3, 1.0, 3.0, 10.0))
"""Of a term of the loss."""


def candidates(params: "AdaptParams", count: int, seed: int) -> "tuple[AdaptParams, ...]":
    """The configurations that a search of ``count`` tries.

    Args:
        params: as configured.
        count: how many, at most: a small space has fewer.
        seed: of the draws.

    Returns:
        Different ones: the configured one, that with the published values of what is varied, then draws.
    """
    values = {name: _values(params, name) for name in params.space}
    published = {name: type(params).model_fields[name].default for name in params.space}
    found = [params]
    for varied in itertools.chain([published], _draws(values, seed)):
        if len(found) >= count:
            break
        try:
            candidate = type(params).model_validate({**params.model_dump(), **varied})
        except ValidationError:  # values that do not go together, such as statistics of the target and joint passes
            continue
        if candidate not in found:
            found.append(candidate)
    return tuple(found)


def _values(params: "AdaptParams", name: str) -> tuple[Any, ...]:
    options, value = params.space[name], getattr(params, name)
    if not isinstance(options, Times):
        return options
    return (value,) if value is None else tuple(float(f"{value * factor:.3g}") for factor in options.factors)


def _draws(values: Mapping[str, tuple[Any, ...]], seed: int) -> Iterator[dict[str, Any]]:
    """Every combination of the values once, in an order that the seed decides."""
    size = 1
    for options in values.values():
        size *= len(options)
    for place in random.Random(seed).sample(range(size), size):
        drawn = {}
        for name, options in values.items():
            place, index = divmod(place, len(options))
            drawn[name] = options[index]
        yield drawn
