"""Classification by cosine similarity to one unit vector per class, and such class centroids of the target.

The probabilities are softmax(s·cos). Papers report the most similar class, but no probabilities. Here s is chosen so
that the mean entropy over the target equals that of the probabilities from which the class vectors were computed. The
predicted class does not depend on s. Validators that measure certainty then see what the class vectors change, and no
change of scale.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.labels import NUM_CLASSES
from pipeline.methods.parts.decision import entropy
from pipeline.networks.network import PrototypeClassifier, unit_rows

SHARPNESS = (1e-2, 1e4)
"""The range in which s is searched."""


def centroids(z: Tensor, probabilities: Tensor, rounds: int) -> tuple[Tensor, Tensor]:
    """Compute SHOT's class centroids of the target (eqs. 5 and 6; Liang et al., ICML 2020).

    The first round averages z weighted by the probabilities, for the classes that are predicted at all. Each further
    round averages z over the pictures nearest to each centroid. A class without pictures has no centroid.

    Args:
        z: N×d float, unit rows.
        probabilities: N×k float.
        rounds: how often centroids are computed; SHOT: 2.

    Returns:
        Unit centroids (k×d), and which classes have one (k bool).
    """
    weights, labels = probabilities, probabilities.argmax(dim=1)
    for turn in range(rounds):
        found = torch.bincount(labels, minlength=NUM_CLASSES) > 0
        means = unit_rows(weights.T @ z)
        if turn < rounds - 1:
            labels = nearest_centroid(z, means, found)
            weights = F.one_hot(labels, NUM_CLASSES).to(z.dtype)
    return means, found


def nearest_centroid(z: Tensor, means: Tensor, found: Tensor) -> Tensor:
    """Return the class of the most similar centroid of each picture, N int64.

    Args:
        z: N×d float, unit rows.
        means: unit centroids, k×d float.
        found: which classes have a centroid, k bool.
    """
    return (z @ means.T).masked_fill(~found, -torch.inf).argmax(dim=1)


def decide_by_directions(
    model: PrototypeClassifier, directions: Tensor, found: Tensor, z: Tensor, probabilities: Tensor
) -> Tensor:
    """Make a model predict the class with the most similar direction, without logit adjustment.

    Args:
        model: changed in place: its prototypes become s times the directions.
        directions: class vectors, unit rows, k×d.
        found: which classes have a direction, k bool; the others can no longer be predicted.
        z: embeddings of the target's pictures, N×d float.
        probabilities: the new probabilities get the same mean entropy as these, N×k float.

    Returns:
        The new probabilities of ``z``, N×k float.
    """
    decision = model.decision
    decision.adjustment.zero_()
    decision.possible &= found
    model.prototypes.replace(directions)
    similarities = model.prototypes(z).masked_fill(~decision.possible, -torch.inf)
    model.prototypes.matrix.mul_(sharpness(similarities, entropy(probabilities.double()).mean()))
    decided: Tensor = decision(model.prototypes(z))
    return decided


def sharpness(scores: Tensor, wanted: Tensor) -> float:
    """Find s such that the mean entropy of softmax(s·scores) is ``wanted``, by bisection: entropy falls as s rises.

    Args:
        scores: N×k float, −inf for an impossible class.
        wanted: the mean entropy, a float64 scalar.

    Returns:
        s, within ``SHARPNESS``.
    """
    scores = scores.double()
    low, high = map(math.log, SHARPNESS)
    for _ in range(40):
        middle = 0.5 * (low + high)
        if entropy(torch.softmax(math.exp(middle) * scores, dim=1)).mean() > wanted:
            low = middle
        else:
            high = middle
    return math.exp(0.5 * (low + high))
