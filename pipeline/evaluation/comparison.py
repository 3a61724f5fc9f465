"""Whether one method is better than another on the same pictures: over pictures and seeds at once, and over targets.

Pictures of a person or of a sequence are alike, so whole persons or sequences are drawn, and seeds are few, so they are
drawn too. Percentiles of such draws do not serve: three seeds drawn anew say nothing beyond these three, and drawing
pictures and seeds at once counts what is left to chance three times (Owen, Annals of Applied Statistics 2007). What the
draws tell well is variances; interval and p are those of Student's t with the variance and its degrees of freedom. In
simulated worlds in which neither method is better it calls 4 to 6.5 % of differences significant at 5 %, at the worst
7 % (three seeds, whose own luck weighs as much as that of the pictures).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.evaluation.resampling import Floats, Grouped, draws

RESAMPLES = 2000


@dataclass(frozen=True)
class PairedDifference:
    """A mean difference in percentage points, and how sure it is.

    Attributes:
        difference: the mean.
        low: the lower bound of its 95 % interval.
        high: the upper bound.
        p: the two-sided p value.
    """

    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Comparison:
    """One method less another on the same test pictures.

    Attributes:
        accuracy: the difference of their accuracies.
        balanced_accuracy: that of their balanced accuracies, the mean recall of the classes that the labels have.
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
    """Compare the predictions of two methods, by a paired bootstrap over groups of pictures and over seeds.

    The variance of the difference has two parts. That of seeds is the variance of their own differences. That of
    pictures is the variance over draws of groups, less what both share: the chance that each seed has in each group
    again (its variance over draws of both at once, beyond those of either). The degrees of freedom are Satterthwaite's.
    With one seed the result is of the pictures alone, and says nothing of another seed.

    Args:
        first: predicted classes, S×N int, a row a seed (or N, of one seed).
        second: those of the other method, its row of the same seed at the same place; what has one row is compared
            with each of the other's.
        labels: the true classes, N int.
        groups: which pictures belong together (subjects, else sequences, else ``range(N)``; see
            ``pipeline.evaluation.resampling.units``), N of any kind.
        starts: the source model that each row starts from, S; rows of one count as one, by their mean. None: each row
            is a seed of its own.
        resamples: how often groups and seeds are drawn.
        seed: of the draws.

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
        raise ValueError("the pictures are of one group: nothing says how another would differ")
    generator = np.random.Generator(np.random.PCG64(seed))
    drawn, (plain,) = differences.drawn(resamples, generator), differences.means().swapaxes(0, 1)
    seeds = plain.shape[1]
    of_seeds = np.concatenate([*draws(generator, seeds, resamples)]) / seeds
    return Comparison(*(_judged(*one, of_seeds, len(differences)) for one in zip(plain, drawn, strict=True)))


def _means_of(runs: Floats, starts: Sequence[int]) -> Floats:
    """The mean row of each source model."""
    known = np.asarray(starts)
    if known.shape != runs.shape[:1]:
        raise ValueError(f"{len(known)} starts for {len(runs)} rows of predictions")
    return np.stack([runs[known == start].mean(axis=0) for start in np.unique(known)])


def _judged(plain: Floats, drawn: Floats, of_seeds: Floats, groups: int) -> PairedDifference:
    """Interval and p of the mean over seeds.

    Args:
        plain: the difference of each seed, S.
        drawn: the same with the groups of each draw, B×S.
        of_seeds: weights of the seeds in each draw, B×S.
        groups: how many there are.
    """
    # These two functions are all that scipy.stats.t calls; loading scipy.stats takes a third of a second.
    from scipy.special import stdtr, stdtrit

    mean, seeds = float(plain.mean()), len(plain)
    by_groups, by_seeds = drawn.mean(axis=1) - mean, of_seeds @ plain - mean
    by_chance = (of_seeds * drawn).sum(axis=1) - mean - by_groups - by_seeds
    # Drawn from so few a spread is too small by the factor (n − 1) / n.
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
    """The 95 % interval of the mean difference over these targets.

    No picture is of two targets, so the errors are independent, and half widths add as their squares do. It is of other
    pictures of the same targets: of other targets it says nothing.

    Args:
        found: of each target, at least one.

    Returns:
        Lower and upper bound, in points.
    """
    mean = sum(one.difference for one in found) / len(found)
    reach = math.hypot(*(one.high - one.difference for one in found)) / len(found)
    return mean - reach, mean + reach


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p values for being several (Holm, Scandinavian Journal of Statistics 1979): in their order, at most 1."""
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(raised, 1.0)
    return adjusted.tolist()


def sign_test(better: int, worse: int) -> float:
    """The two-sided p value of so many targets better and worse, where either were as likely; ties are left out."""
    from scipy.stats import binomtest

    return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
