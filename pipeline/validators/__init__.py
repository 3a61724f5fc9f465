"""What judges a model without the target's labels: one number each, comparable between the epochs of one training.

A new one is a function of ``ValidatorInput`` and one entry in the list below.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.validators.measures import ValidatorInput

LAST = "last"
"""``adapt.choose`` where no validator chooses."""


@dataclass(frozen=True)
class Validator:
    """One number that judges a model.

    Attributes:
        name: as in params.yaml and in tables of numbers.
        title: as people write it.
        sign: 1 where more is better, −1 where less is.
        origin: where it was published.
        measure: computes it.
        needs_source: whether it judges by pictures of the source, which a source-free adaptation may not have at hand.
        at_start: whether its number of the source model decides alone: from 1 on the last epoch is kept, below it the
            source model. Training raises how sure predictions are, whether they are right or not.
    """

    name: str
    title: str
    sign: int
    origin: str
    measure: Callable[["ValidatorInput"], float]
    needs_source: bool = False
    at_start: bool = False


def _module(name: str) -> ModuleType:
    """A module of this package, imported when a model is judged: reading parameters need not wait for NumPy."""
    return import_module(f"{__name__}.{name}")


VALIDATORS = (
    Validator(
        "entropy",
        "entropy",
        -1,
        "Morerio et al., ICLR 2018",
        lambda inputs: _module("measures").entropy(inputs.probabilities),
    ),
    Validator(
        "information",
        "mutual information",
        1,
        "Shi and Sha, ICML 2012",
        lambda inputs: _module("measures").information(inputs.probabilities),
    ),
    Validator(
        "neighbourhood_density",
        "neighbourhood density",
        1,
        "Saito et al., ICCV 2021",
        lambda inputs: _module("measures").neighbourhood_density(inputs.probabilities),
    ),
    Validator(
        "centroid_silhouette",
        "class-centroid silhouette",
        1,
        "simplified silhouette, Hruschka et al., 2004",
        lambda inputs: _module("measures").centroid_silhouette(inputs.embeddings, inputs.probabilities),
    ),
    Validator(
        "source_accuracy",
        "source accuracy",
        1,
        "source validation",
        lambda inputs: _module("measures").accuracy(inputs.source_probabilities, inputs.source_labels),
        needs_source=True,
    ),
    Validator(
        "deep_embedded",
        "deep embedded validation",
        -1,
        "You et al., ICML 2019",
        lambda inputs: _module("source_risk").deep_embedded(inputs),
        needs_source=True,
    ),
    Validator(
        "warrant",
        "warrant",
        1,
        "this project, docs/training.md",
        lambda inputs: _module("warrant").warrant(inputs),
        needs_source=True,
        at_start=True,
    ),
)


def chooser(choose: str) -> Validator | None:
    """Return the validator of that name (``adapt.choose``); None for the last epoch or an unknown name."""
    return next((validator for validator in VALIDATORS if validator.name == choose), None)


def best_epoch(validator: Validator, values: Sequence[float]) -> int:
    """Return the epoch that a validator chooses: that which it finds best, of equal ones the earliest.

    Args:
        validator: it decides whether more or less is better.
        values: its numbers of the models of all epochs, from 0 for the source model. NaN: it was not computed, and
            the source model stays.
    """
    if math.isnan(values[0]):
        return 0
    if validator.at_start:
        return len(values) - 1 if values[0] >= 1.0 else 0
    return max(range(len(values)), key=lambda epoch: validator.sign * values[epoch])


def computed(said: Mapping[str, float]) -> dict[str, float]:
    """What validators say of a model, without those that said nothing: of a failed training none says anything.

    Args:
        said: by the name of the validator; NaN: not computed.
    """
    return {name: value for name, value in said.items() if not math.isnan(value)}


def best_candidate(validator: Validator, said: Sequence[Mapping[str, float]]) -> int:
    """Return which model of a search a validator chooses: the place of one in ``said``.

    A validator that decides at the start says whether any of them is worth its risk; then information ranks them. On
    trial targets (docs/training.md) information alone took harmful ones, as training raises it whether predictions are
    right or not.

    Args:
        validator: as configured.
        said: what all validators say of the source model, then of each candidate; NaN of one that has failed. A
            validator that was not computed keeps the source model.
    """
    if math.isnan(said[0][validator.name]):
        return 0
    places = [place for place, one in enumerate(said) if not math.isnan(one[validator.name])]
    if not validator.at_start:
        return places[best_epoch(validator, [said[place][validator.name] for place in places])]
    if said[0][validator.name] < 1.0 or len(places) == 1:
        return 0
    return max(places[1:], key=lambda place: said[place]["information"])


def validate(inputs: "ValidatorInput") -> dict[str, float]:
    """Return every validator's number, by its name; NaN: not computed, as the source's pictures are not at hand."""
    with_source = len(inputs.source_labels) > 0
    return {
        validator.name: validator.measure(inputs) if with_source or not validator.needs_source else math.nan
        for validator in VALIDATORS
    }
