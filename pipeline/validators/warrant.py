"""Whether an adaptation is worth its risk, by how the source model sees the target before anything is trained.

Two cases in which pseudo-labels taught more than they spoiled, on trial targets (docs/training.md):

- the target is clear: what is predicted for it has as much information as what is predicted for the source's own test
  pictures, so pseudo-labels are mostly right;
- the target is far: its mean z lies far from that which the source's classes would have in the target's shares, so
  there is a shift to take out.

Between the two training lost a little more often than it gained.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.validators.measures import Floats, ValidatorInput, information

FAR = 0.6
"""A distance from which on a target is far. Of 36 trial targets those that gained had 0.69 to 0.75, the rest at most
0.48."""


def warrant(inputs: ValidatorInput) -> float:
    """Say how clear or how far the target is: at least 1 where an adaptation is warranted.

    Returns:
        The larger of ``clearness`` and ``distance`` / ``FAR``; 0 where there are no pictures of one domain.
    """
    if not len(inputs.source_labels) or not len(inputs.probabilities):
        return 0.0
    return max(clearness(inputs), distance(inputs) / FAR)


def clearness(inputs: ValidatorInput) -> float:
    """The information of the target's predictions as a share of that of the source's."""
    return information(inputs.probabilities) / max(information(inputs.source_probabilities), 1e-12)


def distance(inputs: ValidatorInput) -> float:
    """The distance of the target's mean z from Σ π_k·μ_k, in units of how far the class means lie apart.

    μ are the source's class means and π the shares of the predicted classes among those that the source has, as in the
    class-aware shift. The unit is the root of the mean squared distance of the class means from their mean.
    """
    present = np.unique(inputs.source_labels)
    means = np.stack([_mean(inputs.source_embeddings[inputs.source_labels == label]) for label in present])
    shares = np.bincount(inputs.probabilities.argmax(axis=1), minlength=present.max() + 1)[present].astype(np.float64)
    shares /= max(shares.sum(), 1.0)
    unit = np.sqrt(np.square(means - means.mean(axis=0)).sum(axis=1).mean())
    return float(np.linalg.norm(_mean(inputs.embeddings) - shares @ means) / max(unit, 1e-12))


def _mean(z: Floats) -> NDArray[np.float64]:
    found: NDArray[np.float64] = z.astype(np.float64).mean(axis=0)
    return found
