"""Validators: measures of a model without the target's labels, comparable between epochs of one training.

To add one, write a function of ``ValidatorInput`` and an entry in the list below.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.registry import imported

if TYPE_CHECKING:
    from pipeline.validators.measures import ValidatorInput

LAST = "last"
"""The value of ``adapt.choose`` without a validator: the last epoch is kept."""


@dataclass(frozen=True)
class Validator:
    """A label-free measure of a model.

    Attributes:
        name: name in params.yaml and in tables of values.
        title: title in texts.
        sign: 1 if larger values are better, −1 if smaller ones are.
        origin: the publication.
        measure: function that computes the value.
        needs_source: whether it needs source pictures, which a source-free adaptation may not have.
        at_start: whether only its value for the source model counts: the last epoch is kept if it is at least 1, else
            the source model. (Training raises the certainty of predictions, whether they are right or not.)
    """

    name: str
    title: str
    sign: int
    origin: str
    measure: Callable[["ValidatorInput"], float]
    needs_source: bool = False
    at_start: bool = False


def _measure(name: str) -> Callable[..., float]:
    """Import "module:function" of this package when it is used: reading parameters should not import NumPy."""
    measure: Callable[..., float] = imported(f"{__name__}.{name}", f"{__name__.replace('.', '/')}/__init__.py")
    return measure


VALIDATORS = (
    Validator(
        "entropy",
        "entropy",
        -1,
        "Morerio et al., ICLR 2018",
        lambda inputs: _measure("measures:entropy")(inputs.probabilities),
    ),
    Validator(
        "information",
        "mutual information",
        1,
        "Shi and Sha, ICML 2012",
        lambda inputs: _measure("measures:information")(inputs.probabilities),
    ),
    Validator(
        "neighbourhood_density",
        "neighbourhood density",
        1,
        "Saito et al., ICCV 2021",
        lambda inputs: _measure("measures:neighbourhood_density")(inputs.probabilities),
    ),
    Validator(
        "centroid_silhouette",
        "class-centroid silhouette",
        1,
        "simplified silhouette, Hruschka et al., 2004",
        lambda inputs: _measure("measures:centroid_silhouette")(inputs.embeddings, inputs.probabilities),
    ),
    Validator(
        "source_accuracy",
        "source accuracy",
        1,
        "source validation",
        lambda inputs: _measure("measures:accuracy")(inputs.source_probabilities, inputs.source_labels),
        needs_source=True,
    ),
    Validator(
        "deep_embedded",
        "deep embedded validation",
        -1,
        "You et al., ICML 2019",
        lambda inputs: _measure("source_risk:deep_embedded")(inputs),
        needs_source=True,
    ),
    Validator(
        "warrant",
        "warrant",
        1,
        "this project, docs/training.md",
        lambda inputs: _measure("warrant:warrant")(inputs),
        needs_source=True,
        at_start=True,
    ),
)


def chooser(choose: str) -> Validator | None:
    """Return the validator of that name (``adapt.choose``); None for the last epoch or an unknown name."""
    return next((validator for validator in VALIDATORS if validator.name == choose), None)


def best_epoch(validator: Validator, values: Sequence[float]) -> int:
    """Return the epoch that a validator chooses: the earliest one with the best value.

    Args:
        validator: the validator.
        values: its values by epoch, from 0, the source model. If the first is NaN (not computed), epoch 0 is chosen.
    """
    if math.isnan(values[0]):
        return 0
    if validator.at_start:
        return len(values) - 1 if values[0] >= 1.0 else 0
    return max(range(len(values)), key=lambda epoch: validator.sign * values[epoch])


def computed(said: Mapping[str, float]) -> dict[str, float]:
    """Return the values that were computed; for a failed training there are none.

    Args:
        said: values by name of the validator; NaN: not computed.
    """
    return {name: value for name, value in said.items() if not math.isnan(value)}


def best_candidate(validator: Validator, said: Sequence[Mapping[str, float]]) -> int:
    """Return the index in ``said`` of the model of a search that a validator chooses.

    A validator with ``at_start`` decides only whether a candidate may be kept at all; mutual information then ranks
    them. On trial targets (docs/training.md) mutual information alone chose harmful candidates, because training raises
    it whether predictions are right or not.

    Args:
        validator: the configured validator.
        said: values of all validators for the source model, then for each candidate; NaN for failed candidates. If the
            validator was not computed for the source model, that is chosen.
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
    """Return the values of all validators by name; NaN for those that need source pictures if there are none."""
    with_source = len(inputs.source_labels) > 0
    return {
        validator.name: validator.measure(inputs) if with_source or not validator.needs_source else math.nan
        for validator in VALIDATORS
    }
