"""Tests of whether one method is better than another on the same pictures, over pictures, seeds and targets.

Pictures of one person or sequence are similar, so the bootstrap draws whole persons or sequences. Seeds are few, so
they are drawn too. Percentiles of these draws are not used: drawing three seeds again says nothing beyond these three,
and drawing pictures and seeds at once counts chance three times (Owen, Annals of Applied Statistics 2007). But the
draws estimate variances well. Interval and p value come from Student's t with this variance and its degrees of freedom.
In simulations in which no method is better, it calls 4 to 6.5 % of differences significant at the 5 % level. The worst
case is 7 % (three seeds, whose effect is as large as that of the pictures).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.evaluation.resampling import Floats, Grouped, draws

RESAMPLES = 2000
"""Default number of bootstrap draws."""


@dataclass(frozen=True)
class PairedDifference:
    """A mean difference in percentage points, with its uncertainty.

    Attributes:
        difference: the mean.
        low: lower bound of the 95 % interval.
        high: upper bound of the 95 % interval.
        p: two-sided p value.
    """

    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Comparison:
    """The difference of two methods on the same test pictures.

    Attributes:
        accuracy: difference of the accuracies.
        balanced_accuracy: difference of the balanced accuracies (mean recall over the classes that occur in the
            labels).
    """

    accuracy: PairedDifference
    balanced_accuracy: PairedDifference


def compare(
    first: ArrayLike,
    second: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike,
    starts: Sequence[int] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare the predictions of two methods by a paired bootstrap over groups of pictures and over seeds.

    The variance of the difference has two parts. The part of the seeds is the variance of the mean over seeds, from the
    differences of the single seeds. The part of the pictures is the variance over draws of groups, minus the
    interaction of seeds and groups, which the seeds' part contains already. The interaction is the variance over draws
    of both at once beyond the variances of both alone. The degrees of freedom are Satterthwaite's. With one seed, the
    result covers only the pictures, and says nothing about other seeds.

    Args:
        first: predicted classes, S×N int, one row per seed (or N, for one seed).
        second: predicted classes of the other method, with the same order of seeds. If one of the two has a single row,
            it is compared with each row of the other.
        labels: the true classes, N int.
        groups: the group of each picture, N of any type: subjects, else sequences, else ``range(N)`` (see
            ``pipeline.evaluation.resampling.units``).
        starts: the source model of each row, S; rows of one source model are averaged to one. None: each row is a seed.
        resamples: number of draws of groups and seeds.
        seed: seed of the draws.

    Returns:
        Differences in points.

    Raises:
        ValueError: the shapes do not fit, or there are fewer than two groups.
    """
    labels = np.asarray(labels, dtype=np.int64)
    right = [np.atleast_2d(predicted) == labels for predicted in (first, second)]
    runs = np.subtract(*np.broadcast_arrays(*right), dtype=np.float64)
    differences = Grouped.of(runs if starts is None else _means_of(runs, starts), labels, np.asarray(groups))
    if len(differences) < 2:
        raise ValueError("all pictures are of one group, so the variance between groups is unknown")
    generator = np.random.Generator(np.random.PCG64(seed))
    drawn, (plain,) = differences.drawn(resamples, generator), differences.means().swapaxes(0, 1)
    seeds = plain.shape[1]
    of_seeds = np.concatenate([*draws(generator, seeds, resamples)]) / seeds
    return Comparison(*(_judged(*one, of_seeds, len(differences)) for one in zip(plain, drawn, strict=True)))


def _means_of(runs: Floats, starts: Sequence[int]) -> Floats:
    """Return the mean of the rows of each source model."""
    known = np.asarray(starts)
    if known.shape != runs.shape[:1]:
        raise ValueError(f"{len(known)} starts for {len(runs)} rows of predictions")
    return np.stack([runs[known == start].mean(axis=0) for start in np.unique(known)])


def _judged(plain: Floats, drawn: Floats, of_seeds: Floats, groups: int) -> PairedDifference:
    """Return mean over seeds, interval and p value.

    Args:
        plain: the difference of each seed, S.
        drawn: the same for the groups of each draw, B×S.
        of_seeds: weights of the seeds in each draw, B×S.
        groups: number of groups.
    """
    # scipy.stats.t only calls these two functions, and importing scipy.stats takes a third of a second.
    from scipy.special import stdtr, stdtrit

    mean, seeds = float(plain.mean()), len(plain)
    by_groups, by_seeds = drawn.mean(axis=1) - mean, of_seeds @ plain - mean
    by_chance = (of_seeds * drawn).sum(axis=1) - mean - by_groups - by_seeds
    # The variance of draws from n values is too small by the factor (n − 1) / n.
    of_groups, of_both = groups / (groups - 1), seeds / max(seeds - 1, 1)
    pictures = max(0.0, of_groups * by_groups.var() - of_groups * of_both * by_chance.var())
    chance = plain.var() / max(seeds - 1, 1)
    variance = pictures + chance
    if variance <= 1e-18:
        return PairedDifference(100 * mean, 100 * mean, 100 * mean, 1.0 if mean == 0 else 0.0)
    freedom = variance**2 / (pictures**2 / (groups - 1) + chance**2 / max(seeds - 1, 1))
    error = float(np.sqrt(variance))
    reach = float(stdtrit(freedom, 0.975)) * error
    p = float(2 * stdtr(freedom, -abs(mean) / error))
    return PairedDifference(100 * mean, 100 * (mean - reach), 100 * (mean + reach), p)


def mean_interval(found: Sequence[PairedDifference]) -> tuple[float, float]:
    """Return the 95 % interval of the mean difference over these targets.

    Targets share no pictures, so the errors are independent, and the squares of the half widths add up. The interval is
    for other pictures of the same targets; it says nothing about other targets.

    Args:
        found: the difference on each target, at least one.

    Returns:
        Lower and upper bound, in points.
    """
    mean = sum(one.difference for one in found) / len(found)
    reach = math.hypot(*(one.high - one.difference for one in found)) / len(found)
    return mean - reach, mean + reach


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p values for multiple tests (Holm, Scandinavian Journal of Statistics 1979); same order, at most 1."""
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(raised, 1.0)
    return adjusted.tolist()


def sign_test(better: int, worse: int) -> float:
    """Return the two-sided p value of the sign test; ties must not be counted.

    Args:
        better: number of targets on which a method is better.
        worse: number of targets on which it is worse.
    """
    from scipy.stats import binomtest

    return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
