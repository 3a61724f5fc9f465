"""Deep embedded validation: the source's own risk, weighted towards what looks like the target (You et al., ICML 2019).

The weight of a source picture is the ratio of densities target : source at its embedding, by Bayes' rule from a
logistic regression that tells the domains apart (the paper's sec. 3.2). It is fitted on one half of the pictures and
applied to the other, so that it cannot learn single pictures by heart.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.validators.measures import Floats, ValidatorInput

STRENGTH = 1.0
"""Inverse strength C of the regression's L2 penalty, scikit-learn's default, for embeddings of length 1.

The paper chooses the penalty by a part of the pictures. In simulations (64 and 256 dimensions, 250 pictures of each
domain to fit on; other shares of classes, small and large shifts) that choice was mostly this one and took thirty
times as long; the weights correlate with the true ratio by 0.76 to 0.89, of embeddings of length √d only by 0.2 to 0.7.
"""


def deep_embedded(inputs: ValidatorInput) -> float:
    """Risk with its control variate: mean(w·l) + η·mean(w) − η, η = −cov(w·l, w) / var(w); l the cross entropy.

    Returns:
        The risk; the plain mean of l where there are too few pictures to fit weights on, and 0 where there is none.
    """
    chosen = inputs.source_probabilities[np.arange(len(inputs.source_labels)), inputs.source_labels]
    if len(chosen) == 0:
        return 0.0
    losses = -np.log(np.maximum(chosen.astype(np.float64), 1e-12))
    weights = density_ratio(inputs.source_embeddings, inputs.embeddings)
    variance = weights.var(ddof=1) if len(weights) > 1 else 0.0
    weighted = weights * losses
    if variance <= 1e-12:
        return float(weighted.mean())
    eta = -float(np.cov(weighted, weights, ddof=1)[0, 1]) / variance
    return float(weighted.mean() + eta * weights.mean() - eta)


def density_ratio(source: Floats, target: Floats) -> NDArray[np.float64]:
    """Estimate the density of the target over that of the source at each of the source's embeddings.

    Args:
        source: n×d.
        target: N×d.

    Returns:
        n float64; all 1 where there are too few pictures to fit on.
    """
    if min(len(source), len(target)) < 4:
        return np.ones(len(source))
    length = np.sqrt(np.square(np.concatenate([source, target]), dtype=np.float64).sum(axis=1).mean())
    source, target = (domain / max(length, 1e-12) for domain in (source, target))
    ratios = np.empty(len(source))
    for half in (0, 1):
        fitted_source, fitted_target = source[1 - half :: 2], target[1 - half :: 2]
        features = np.concatenate([fitted_source, fitted_target]).astype(np.float64)
        domain = np.repeat([0, 1], [len(fitted_source), len(fitted_target)])
        weights, offset = logistic_regression(features, domain)
        odds = np.exp(source[half::2].astype(np.float64) @ weights + offset)
        ratios[half::2] = odds * len(fitted_source) / len(fitted_target)
    return ratios


def logistic_regression(features: NDArray[np.float64], classes: NDArray[np.int64]) -> tuple[NDArray[np.float64], float]:
    """Fit a logistic regression with an L2 penalty of ``STRENGTH`` on its weights, as scikit-learn does.

    scikit-learn itself takes half a second to load, in every adaptation; its optimiser is SciPy's.

    Args:
        features: N×d.
        classes: N, 0 or 1.

    Returns:
        The weights, d, and the offset of the log odds of class 1.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    count, dim = features.shape
    penalty = 1.0 / (STRENGTH * count)

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, odds = at[:dim], features @ at[:dim] + at[dim]
        slopes = (expit(odds) - classes) / count
        value = (np.logaddexp(0.0, odds) - classes * odds).mean() + penalty / 2 * (weights @ weights)
        return float(value), np.append(features.T @ slopes + penalty * weights, slopes.sum())

    precision = {"maxiter": 200, "maxls": 50, "gtol": 1e-4, "ftol": 64 * np.finfo(float).eps}
    found = minimize(loss, np.zeros(dim + 1), method="L-BFGS-B", jac=True, options=precision).x
    return found[:dim], float(found[dim])
