"""A study's results in numbers: means over seeds, and what is paired over pictures and over targets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.comparison import PairedDifference, paired_bootstrap, sign_test
from pipeline.reporting.study_results import StudyCell
from pipeline.reporting.titles import environment_title
from pipeline.studies.collect import Collected, of_variant

RESAMPLES = 2000
SEED = 0
Stage = Literal["before", "after"]


@dataclass(frozen=True)
class WinLoss:
    """A variant against another over the targets that both have.

    Attributes:
        better: targets on which it is better.
        worse: targets on which it is worse.
        mean: difference in points.
        p: of the sign test.
    """

    better: int
    worse: int
    mean: float
    p: float


def accuracy(collected: Sequence[Collected], variant: str, target: str, stage: Stage = "after") -> StudyCell | None:
    """A variant's accuracy on one target over seeds.

    Args:
        collected: all results of the study.
        variant: its name.
        target: the data set.
        stage: "before": of the source models that the variant starts from.

    Returns:
        None: nothing was scored.
    """
    found = of_variant(collected, variant, target)
    scores = [one.result.before if stage == "before" else one.result.after for one in found]
    values = [100 * metrics.accuracy for metrics in scores if metrics]
    if not values:
        return None
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return StudyCell(
        mean=float(np.mean(values)),
        deviation=deviation,
        seeds=len(values),
        drawn=any(one.result.drawn for one in found),
        known=any(one.result.split.protocol.classes is not None for one in found),
        current=all(one.current for one in found),
        alike=len({environment_title(one.result.environment) for one in found}) == 1,
    )


def is_transfer(collected: Sequence[Collected], variant: str) -> bool:
    """Whether a variant is direct transfer itself, which is not compared with itself."""
    return any(one.run.variant == variant and one.run.params.adapt.method == "dt" for one in collected)


def paired(collected: Sequence[Collected], variant: str, other: str | None, target: str) -> PairedDifference | None:
    """The difference of two variants on the same test pictures, mean over the seeds that both have.

    Args:
        collected: all results of the study.
        variant: its name.
        other: what is subtracted; None: direct transfer, of the source model that the variant itself starts from.
        target: the data set.

    Returns:
        In points; None: they share no test pictures, as where other rules in section split chose them.
    """
    first = _right(collected, variant, target, "after")
    second = _right(collected, other or variant, target, "after" if other else "before")
    parts = {one.test_part for one in (*first.values(), *second.values())}
    seeds = [seed for seed in first if seed in second]
    if not seeds or len(parts) > 1:
        return None
    difference = np.mean([first[seed].pictures - second[seed].pictures for seed in seeds], axis=0)
    return paired_bootstrap(100 * difference, RESAMPLES, SEED)


def win_loss(differences: Sequence[PairedDifference]) -> WinLoss | None:
    """Sum up the differences of two variants, one a target; None: there is none."""
    if not differences:
        return None
    values = [found.difference for found in differences]
    better, worse = sum(value > 0 for value in values), sum(value < 0 for value in values)
    return WinLoss(better, worse, float(np.mean(values)), sign_test(better, worse))


@dataclass(frozen=True)
class Choice:
    """How well one way to choose an epoch did, over all adapted results.

    Attributes:
        accuracy: mean at the chosen epochs, in per cent.
        below_oracle: mean difference to the best epoch by test labels, in points.
        results: how many.
    """

    accuracy: float
    below_oracle: float
    results: int


def chosen_by(collected: Sequence[Collected], choice: str) -> Choice | None:
    """How well ``choice`` (a validator, or the last epoch) did; None: no result tells."""
    pairs = []
    for one in collected:
        oracle, chosen = one.result.oracle, one.result.unlabelled.choices.get(choice)
        if one.result.adapted() and oracle and chosen:
            pairs.append((chosen.accuracy, oracle.accuracy - chosen.accuracy))
    if not pairs:
        return None
    accuracy, below = 100 * np.array(pairs).mean(axis=0)
    return Choice(float(accuracy), float(below), len(pairs))


@dataclass(frozen=True)
class _Scored:
    """What was classified rightly.

    Attributes:
        pictures: N, of the test part: 1 for each that is right, else 0.
        test_part: the rules that chose them, and N.
    """

    pictures: NDArray[np.float64]
    test_part: tuple[str, int | float | None, int, int]


def _right(collected: Sequence[Collected], variant: str, target: str, stage: Stage) -> dict[int, _Scored]:
    """Which test pictures a variant classified rightly, by seed."""
    found = {}
    for one in of_variant(collected, variant, target):
        if right := one.result.right:
            pictures = np.array(list(getattr(right, stage)), dtype=np.float64)
            rules = one.result.split.protocol
            found[one.run.seed] = _Scored(pictures, (rules.protocol, rules.test, rules.seed, len(pictures)))
    return found
