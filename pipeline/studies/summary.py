"""A study's results in numbers: means over seeds, and comparisons paired over pictures, seeds and targets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pipeline.evaluation.comparison import Comparison, PairedDifference, compare, holm, sign_test
from pipeline.evaluation.records import ChosenEpoch, Metrics, Result, Tested
from pipeline.reporting.study_results import StudyCell
from pipeline.reporting.titles import environment_title
from pipeline.studies.collect import Collected, of_variant

Stage = Literal["before", "after"]


@dataclass(frozen=True)
class WinLoss:
    """A variant compared with another one on all targets that both have.

    Attributes:
        better: number of targets on which it is better.
        worse: number of targets on which it is worse.
        mean: mean difference in points.
        p: p value of the sign test.
    """

    better: int
    worse: int
    mean: float
    p: float


def accuracy(collected: Sequence[Collected], variant: str, target: str, stage: Stage = "after") -> StudyCell | None:
    """Return a variant's accuracy on one target, over seeds: those of source models or, with one, of stage 2.

    Args:
        collected: all results of the study.
        variant: the variant's name.
        target: the data set.
        stage: "before" for the source models that the variant starts from.

    Returns:
        Mean and deviation; None if nothing was scored.
    """
    found = of_variant(collected, variant, target)
    by_model: dict[int, list[tuple[float, float]]] = {}
    for one in found:
        if scores := one.result.before if stage == "before" else one.result.after:
            by_model.setdefault(one.source_seed, []).append((scores.accuracy, scores.balanced_accuracy))
    if not by_model:
        return None
    several = len(by_model) > 1 or stage == "before"
    means = [np.mean(each, axis=0) for each in by_model.values()]
    values = 100 * np.array(means if several else next(iter(by_model.values())))
    (mean, balanced), deviations = values.mean(axis=0).tolist(), [0.0, 0.0]
    if len(values) > 1:
        deviations = values.std(axis=0, ddof=1).tolist()
    return StudyCell(
        mean=mean,
        deviation=deviations[0],
        balanced=balanced,
        balanced_deviation=deviations[1],
        seeds=len(values),
        drawn=any(one.result.drawn for one in found),
        known=any(one.result.split.protocol.classes is not None for one in found),
        current=all(one.current for one in found),
        alike=len({environment_title(one.result.environment) for one in found}) == 1,
    )


def is_transfer(collected: Sequence[Collected], variant: str) -> bool:
    """Return whether a variant is direct transfer itself, which is not compared with itself."""
    return any(one.run.variant == variant and one.run.params.adapt.method == "dt" for one in collected)


def paired(collected: Sequence[Collected], variant: str, other: str | None, target: str) -> Comparison | None:
    """Return the differences of two variants on the same test pictures, over the seeds that both have.

    Args:
        collected: all results of the study.
        variant: the variant's name.
        other: the variant to subtract; None: direct transfer with the source models of ``variant``.
        target: the data set.

    Returns:
        The differences; None if the variants share no seed, have different test pictures (by other rules in section
        split), or if all pictures are of one group.
    """
    first, second = _tested(collected, variant, target), _tested(collected, other or variant, target)
    both = [seeds for seeds in first if seeds in second]
    pairs = [(first[seeds], second[seeds]) for seeds in both]
    parts = {(part, one.labels, one.unit, one.units) for part, one in (*first.values(), *second.values())}
    if not pairs or len(parts) > 1:
        return None
    tested = pairs[0][0][1]
    if len(set(tested.groups)) < 2:
        return None
    stage: Stage = "after" if other else "before"
    return compare(
        np.stack([one.classes("after") for (_, one), _ in pairs]),
        np.stack([one.classes(stage) for _, (_, one) in pairs]),
        tested.classes("labels"),
        tested.groups,
        [source_seed for source_seed, _ in both],
    )


def adjusted(found: Sequence[PairedDifference | None]) -> list[PairedDifference | None]:
    """Return the differences with p values adjusted for their number (Holm)."""
    p = iter(holm([one.p for one in found if one]))
    return [replace(one, p=next(p)) if one else None for one in found]


def drawn_units(collected: Sequence[Collected], target: str) -> str:
    """Return the groups that the bootstrap draws on a target, such as "93 sequences"; "" if unknown."""
    found = {
        f"{len(set(one.groups)):,} {one.unit}s"
        for each in collected
        if each.result.target == target and (one := each.result.tested)
    }
    return " or ".join(sorted(found))


def win_loss(differences: Sequence[PairedDifference]) -> WinLoss | None:
    """Summarise the differences of two variants, one per target; None if there are none."""
    if not differences:
        return None
    values = [found.difference for found in differences]
    better, worse = sum(value > 0 for value in values), sum(value < 0 for value in values)
    return WinLoss(better, worse, float(np.mean(values)), sign_test(better, worse))


KEEP = "keep"
"""The choice of the source model, whatever was trained."""


@dataclass(frozen=True)
class Choice:
    """How well a way of choosing an epoch worked, over all adapted results.

    Attributes:
        accuracy: mean accuracy at the chosen epochs, in per cent.
        balanced: the same for balanced accuracy; None if a result does not have it.
        below_oracle: mean difference from the accuracy of the best epoch by test labels, in points.
        results: number of results.
    """

    accuracy: float
    balanced: float | None
    below_oracle: float
    results: int


def chosen_by(collected: Sequence[Collected], choice: str) -> Choice | None:
    """Evaluate ``choice`` (a validator, the last epoch or ``KEEP``); None if no result has it."""
    results = [one.result for one in collected if one.result.adapted() and one.result.oracle]
    pairs = [(one, result) for result in results if (one := _chosen(result, choice))]
    if not pairs:
        return None
    balanced = [one.balanced_accuracy for one, _ in pairs if one.balanced_accuracy is not None]
    below = [result.oracle.accuracy - one.accuracy for one, result in pairs if result.oracle]
    return Choice(
        accuracy=100 * float(np.mean([one.accuracy for one, _ in pairs])),
        balanced=100 * float(np.mean(balanced)) if len(balanced) == len(pairs) else None,
        below_oracle=100 * float(np.mean(below)),
        results=len(pairs),
    )


def _chosen(result: Result, choice: str) -> ChosenEpoch | Metrics | None:
    """Return the scores of the epoch that a choice selects."""
    return result.before if choice == KEEP else result.unlabelled.choices.get(choice)


Rules = tuple[str, int | float | None, int]
"""The values of section split that chose the test pictures."""


def _tested(collected: Sequence[Collected], variant: str, target: str) -> dict[tuple[int, int], tuple[Rules, Tested]]:
    """Return a variant's predictions for the test pictures, with the rules that chose these pictures.

    Returns:
        Both, by the seeds of source model and stage 2.
    """
    found = {}
    for one in of_variant(collected, variant, target):
        if tested := one.result.tested:
            rules = one.result.split.protocol
            found[one.source_seed, one.run.seed] = ((rules.protocol, rules.test, rules.seed), tested)
    return found
