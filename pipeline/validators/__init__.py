"""What judges a model without the target's labels: one number each, comparable between the epochs of one training.

A new one is a function of ``Seen`` and one line in the list below.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.validators import measures, source_risk
from pipeline.validators.seen import Seen

__all__ = ["VALIDATORS", "Seen", "Validator", "validate"]


@dataclass(frozen=True)
class Validator:
    """One of them. ``sign``: 1 where more is better, −1 where less is. ``origin``: where it was published."""

    name: str
    title: str
    sign: int
    origin: str
    measure: Callable[[Seen], float]


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
    ),
    Validator(
        "deep_embedded",
        "deep embedded validation",
        -1,
        "You et al., ICML 2019",
        source_risk.deep_embedded,
    ),
)


def validate(seen: Seen) -> dict[str, float]:
    """What every validator says, by its name."""
    return {validator.name: validator.measure(seen) for validator in VALIDATORS}
