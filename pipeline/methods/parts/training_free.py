"""Corrections of the source model in one pass over the target, without gradients, and deciding by directions of z.

A classifier by directions compares a unit z with one unit vector a class: softmax(s·cos). Papers give the most similar
class and no probabilities. Here s is the sharpness at which these are, in the mean over the target, as sure as the
probabilities that the directions were made from: the decision is the nearest direction whatever s, and what judges
models by their certainty sees what the directions change and no other scale.
"""

import math
from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.labels import NUM_CLASSES
from pipeline.methods.parts.base import Method
from pipeline.methods.parts.decision import entropy
from pipeline.networks.network import PrototypeClassifier, unit_rows
from pipeline.training.loop import Epoch

SHARPNESS = (1e-2, 1e4)
"""Between which s is looked for."""


class TrainingFree(Method):
    """One epoch of one step: the whole target is predicted, and the model corrected by that."""

    def prepare(self) -> None:
        """Begin with the source model.

        Raises:
            TrainingError: the target has no pictures to adapt to.
        """
        self.require_pictures(1)
        self.model = self.predictor().to(self.team.device)
        self.parts = {"model": self.model}

    def predictor(self) -> PrototypeClassifier:
        """Return what predicts, which before it is corrected does so as the source model."""
        return self.source_model

    @abstractmethod
    def correct(self, z: Tensor, probabilities: Tensor) -> Tensor:
        """Change ``model`` by what it makes of the target.

        Args:
            z: of the training pictures, N×d float; unit rows but for a linear classifier.
            probabilities: what is predicted for them so far, N×k float.

        Returns:
            What is predicted for them then, N×k float.
        """

    def begin_epoch(self, epoch: int) -> Epoch:
        """Predict the target; the only batch is what came out of that."""
        predicted = self.predict_whole_target()
        return Epoch(iter([predicted]), 1, len(self.target.train_rows), {})

    @torch.no_grad()
    def step(self, batch: tuple[Tensor, Tensor], progress: float) -> dict[str, Tensor]:
        """Correct the model.

        Args:
            batch: z and probabilities of the target's training pictures.
            progress: not used.

        Returns:
            The predictions' mean entropy after it, which is reported and not minimised, and the share of pictures
            whose class is another one.
        """
        z, before = batch
        after = self.correct(z, before)
        changed = (after.argmax(dim=1) != before.argmax(dim=1)).float().mean()
        return {"loss": entropy(after).mean().float(), "changed": changed}


def centroids(z: Tensor, probabilities: Tensor, rounds: int) -> tuple[Tensor, Tensor]:
    """Mean directions of classes in the target (SHOT's, eqs. 5 and 6; Liang et al., ICML 2020).

    The first are means of z weighted by the probabilities, of classes that somebody is predicted as; each round more
    takes the means of the pictures that are nearest to one. A class that has lost all its pictures has no centroid.

    Args:
        z: N×d float, unit rows.
        probabilities: N×k float.
        rounds: how many times centroids are made; SHOT's 2.

    Returns:
        Unit centroids (k×d), and which classes have one (k bool).
    """
    weights, labels = probabilities, probabilities.argmax(dim=1)
    for turn in range(rounds):
        found = torch.bincount(labels, minlength=NUM_CLASSES) > 0
        means = unit_rows(weights.T @ z)
        if turn < rounds - 1:
            labels = (z @ means.T).masked_fill(~found, -torch.inf).argmax(dim=1)
            weights = F.one_hot(labels, NUM_CLASSES).to(z.dtype)
    return means, found


def decide_by_directions(
    model: PrototypeClassifier, directions: Tensor, found: Tensor, z: Tensor, probabilities: Tensor
) -> Tensor:
    """Let a model decide by the most similar direction, and by nothing that it knew of the classes' shares.

    Args:
        model: changed: its prototypes become s times the directions.
        directions: unit rows, k×d.
        found: which classes have one, k bool; the others are not predicted any more.
        z: of the target's pictures, N×d float.
        probabilities: as sure as these the new ones become in the mean, N×k float.

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
    """Find s with which the mean entropy of softmax(s·scores) is ``wanted``: it falls as s rises, so s is enclosed.

    Args:
        scores: N×k float, −inf of a class that cannot be.
        wanted: a float64 scalar.

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
