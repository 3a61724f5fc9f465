"""A study's results in numbers: means over seeds, and what is paired over pictures and over targets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.comparison import Paired, paired_bootstrap, sign_test
from pipeline.reporting.studied import StudiedCell
from pipeline.studies.collect import Collected, of_variant

RESAMPLES = 2000
SEED = 0
Stage = Literal["before", "after"]


@dataclass(frozen=True)
class Rivalry:
    """A variant against another over the targets that both have: wins, losses and the p value of the signs."""

    better: int
    worse: int
    mean: float
    p: float


def accuracy(collected: Sequence[Collected], variant: str, target: str, stage: Stage = "after") -> StudiedCell | None:
    """Over seeds; ``before``: of the source models that the variant starts from. None: nothing was scored."""
    found = of_variant(collected, variant, target)
    scores = [one.result.before if stage == "before" else one.result.after for one in found]
    values = [100 * metrics.accuracy for metrics in scores if metrics]
    if not values:
        return None
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return StudiedCell(
        mean=float(np.mean(values)),
        deviation=deviation,
        seeds=len(values),
        drawn=any(one.result.drawn for one in found),
        known=any(one.result.split.protocol.classes is not None for one in found),
        current=all(one.current for one in found),
    )


def paired(collected: Sequence[Collected], variant: str, other: str | None, target: str) -> Paired | None:
    """``variant`` less ``other`` on the same test pictures, of the seeds that both have; None where they share none.

    other: None is direct transfer, of the source model that the variant itself starts from.
    """
    first = _right(collected, variant, target, "after")
    second = _right(collected, other or variant, target, "after" if other else "before")
    seeds = [seed for seed in first if seed in second and len(first[seed]) == len(second[seed])]
    if not seeds:
        return None
    difference = np.mean([first[seed] - second[seed] for seed in seeds], axis=0)
    return paired_bootstrap(100 * difference, RESAMPLES, SEED)


def rivalry(collected: Sequence[Collected], variant: str, other: str | None, targets: Sequence[str]) -> Rivalry | None:
    """Over ``targets``, ``other`` as in ``paired``; None where the two share none."""
    differences = []
    for target in targets:
        one = accuracy(collected, variant, target)
        two = accuracy(collected, other or variant, target, "after" if other else "before")
        if one and two:
            differences.append(one.mean - two.mean)
    if not differences:
        return None
    better, worse = sum(value > 0 for value in differences), sum(value < 0 for value in differences)
    return Rivalry(better, worse, float(np.mean(differences)), sign_test(better, worse))


@dataclass(frozen=True)
class Choice:
    """Over all adapted results: the mean accuracy (%) at the chosen epochs, and how far below the oracle it is."""

    accuracy: float
    below_oracle: float
    results: int


def chosen_by(collected: Sequence[Collected], choice: str) -> Choice | None:
    """At the epochs that ``choice`` chooses: a validator, or the last ones."""
    pairs = []
    for one in collected:
        oracle, choices = one.result.oracle, one.result.unlabelled.choices
        if one.result.adapted() and oracle and choices:
            chosen = choices[choice].accuracy
            pairs.append((chosen, oracle.accuracy - chosen))
    if not pairs:
        return None
    accuracy, below = 100 * np.array(pairs).mean(axis=0)
    return Choice(float(accuracy), float(below), len(pairs))


def _right(collected: Sequence[Collected], variant: str, target: str, stage: Stage) -> dict[int, NDArray[np.float64]]:
    """By seed, 1 for each test picture that is right and 0 for the others."""
    return {
        one.run.seed: np.array(list(getattr(one.result.right, stage)), dtype=np.float64)
        for one in of_variant(collected, variant, target)
        if one.result.right
    }
