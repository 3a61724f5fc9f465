"""What judges a model without the target's labels: one number each, comparable between the epochs of one training.

A new one is a function of ``ValidatorInput`` and one line in the list below.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.validators import measures, source_risk
from pipeline.validators.measures import ValidatorInput

__all__ = ["LAST", "VALIDATORS", "Validator", "ValidatorInput", "best_epoch", "chooser", "validate"]

LAST = "last"
"""``adapt.choose`` where no validator chooses."""


@dataclass(frozen=True)
class Validator:
    """One of them.

    sign: 1 where more is better, −1 where less is. origin: where it was published. needs_source: whether it judges by
    pictures of the source, which a source-free adaptation may not have at hand.
    """

    name: str
    title: str
    sign: int
    origin: str
    measure: Callable[[ValidatorInput], float]
    needs_source: bool = False


VALIDATORS = (
    Validator(
        "entropy",
        "entropy",
        -1,
        "Morerio et al., ICLR 2018",
        lambda seen: measures.entropy(seen.probabilities),
    ),
    Validator(
        "information",
        "information",
        1,
        "Shi and Sha, ICML 2012",
        lambda seen: measures.information(seen.probabilities),
    ),
    Validator(
        "neighbourhood_density",
        "neighbourhood density",
        1,
        "Saito et al., ICCV 2021",
        lambda seen: measures.neighbourhood_density(seen.embeddings),
    ),
    Validator(
        "centroid_silhouette",
        "class-centroid silhouette",
        1,
        "simplified silhouette, Hruschka et al., 2004",
        lambda seen: measures.centroid_silhouette(seen.embeddings, seen.probabilities),
    ),
    Validator(
        "source_accuracy",
        "source accuracy",
        1,
        "source validation",
        lambda seen: measures.accuracy(seen.source_probabilities, seen.source_labels),
        needs_source=True,
    ),
    Validator(
        "deep_embedded",
        "deep embedded validation",
        -1,
        "You et al., ICML 2019",
        source_risk.deep_embedded,
        needs_source=True,
    ),
)


def chooser(choose: str) -> Validator | None:
    """The validator of that name (``adapt.choose``); None where the last epoch is kept or there is none of the name."""
    return next((validator for validator in VALIDATORS if validator.name == choose), None)


def best_epoch(validator: Validator, said: Sequence[float]) -> int:
    """The epoch that a validator finds best, of equal ones the earliest.

    said: what it says of the model of every epoch, from 0 for the source model.
    """
    return max(range(len(said)), key=lambda epoch: validator.sign * said[epoch])


def validate(seen: ValidatorInput) -> dict[str, float]:
    """What every validator says, by its name."""
    return {validator.name: validator.measure(seen) for validator in VALIDATORS}
