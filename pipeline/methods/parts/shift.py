"""Alignment of the target's z with the source by an affine map, and a classifier that applies it."""

from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.config.learning import ModelParams
from pipeline.labels import NUM_CLASSES
from pipeline.networks.network import PrototypeClassifier, unit_rows
from pipeline.networks.statistics import ClassStatistics, covariance


@dataclass(frozen=True)
class ClassAware:
    """Settings of the alternating estimate of class shares and shift.

    Attributes:
        rounds: maximum number of rounds.
        begin: initial shift: nothing (δ = 0) or means (the difference of the means, which is right if the target has
            the source's class shares).
        shares: class shares are those of the predicted labels, or the mean probabilities.
        guarded: stop before a round that does not raise the mutual information of the predictions.
    """

    rounds: int = 10
    begin: Literal["nothing", "means"] = "nothing"
    shares: Literal["labels", "probabilities"] = "labels"
    guarded: bool = True


class Shift(nn.Module):
    """The map z → (A·z + b) / ‖A·z + b‖, N×d float in and out. Initially the identity.

    Attributes:
        matrix: A, d×d float.
        offset: b, d float.
    """

    matrix: Tensor
    offset: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("matrix", torch.eye(dim))
        self.register_buffer("offset", torch.zeros(dim))

    def forward(self, z: Tensor) -> Tensor:
        return unit_rows(F.linear(z, self.matrix, self.offset))


class ShiftedClassifier(PrototypeClassifier):
    """softmax(z·Mᵀ) of shifted z. The shift is applied to every picture, also to the source's."""

    def __init__(self, plain: PrototypeClassifier) -> None:
        """Insert a shift between g and M of ``plain``, whose modules are shared, not copied."""
        super().__init__(plain.network, plain.prototypes, plain.decision, plain.statistics)
        self.shift = Shift(plain.network.head.dim)

    @classmethod
    def untrained(cls, params: ModelParams) -> Self:
        return cls(PrototypeClassifier.untrained(params))

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the shifted z and the probabilities."""
        z = self.shift(self.network(images))
        probabilities: Tensor = self.decision(self.prototypes(z))
        return z, probabilities


def class_aware(z: Tensor, model: PrototypeClassifier, statistics: ClassStatistics, how: ClassAware) -> Tensor:
    """Estimate the shift of the target's mean, corrected for different class shares.

    δ = mean(z) − Σ π_k·μ_k, where π are the class shares that ``model`` predicts for the unit rows of z − δ, and μ_k
    the source's class means. δ and π are estimated in turn. Unlike the difference of the means, δ does not contain the
    effect of different class shares. But errors can reinforce themselves: the more pictures a class is predicted for,
    the nearer to its mean the target is moved, until all are one class. ``how.guarded`` prevents this.

    Args:
        z: embeddings of the target's training pictures, N×d float.
        model: its prototypes and decision predict.
        statistics: class statistics of the source.
        how: settings of the estimate.

    Returns:
        δ, d float.
    """
    mean = z.mean(dim=0)
    delta = mean - statistics.mean() if how.begin == "means" else torch.zeros_like(mean)
    predicted = model.decision(model.prototypes(unit_rows(z - delta)))
    for _ in range(how.rounds):
        there = mean - _shares(predicted, statistics, how.shares) @ statistics.means
        found = model.decision(model.prototypes(unit_rows(z - there)))
        if torch.equal(there, delta) or (how.guarded and information(found) <= information(predicted)):
            break
        delta, predicted = there, found
    return delta


def _shares(predicted: Tensor, statistics: ClassStatistics, counted: str) -> Tensor:
    """Return the class shares (k) of N×k probabilities; classes that the source lacks have share 0."""
    if counted == "labels":
        predicted = F.one_hot(predicted.argmax(dim=1), NUM_CLASSES).to(predicted.dtype)
    counts = predicted.sum(dim=0) * (statistics.shares > 0)
    return counts / counts.sum().clamp(min=1e-12)


def information(probabilities: Tensor) -> float:
    """Return the mutual information: entropy of the mean prediction minus the mean entropy of N×k predictions.

    The same measure on NumPy arrays is ``pipeline.validators.measures.information``.
    """
    varied = torch.special.entr(probabilities.double().mean(dim=0)).sum()
    return float(varied - torch.special.entr(probabilities.double()).sum(dim=1).mean())


def alignment(z: Tensor, statistics: ClassStatistics, ridge: float) -> tuple[Tensor, Tensor]:
    """Return A and b that give the target the source's mean and covariance (CORAL; Sun et al., AAAI 2016).

    A = C_s^½·C_t^−½ whitens the target and re-colours it as the source. (The paper maps the source and trains on it.
    Here the classifier is fixed, so the target is mapped.) ``ridge`` times its mean variance is added to the diagonal
    of each covariance; for features of variance 1 this equals the paper's regularisation.

    Args:
        z: embeddings of the target's training pictures, N×d float.
        statistics: class statistics of the source.
        ridge: λ.

    Returns:
        A (d×d) and b (d), float.
    """
    root = _power(statistics.covariance, 0.5, ridge)
    matrix = root @ _power(covariance(z), -0.5, ridge)
    offset = statistics.mean().double() - matrix @ z.double().mean(dim=0)
    return matrix.to(z.dtype), offset.to(z.dtype)


def _power(matrix: Tensor, exponent: float, ridge: float) -> Tensor:
    """Return a power of a symmetric matrix (d×d) plus ``ridge`` times its mean diagonal times the identity, float64."""
    matrix = matrix.double()
    ground = ridge * matrix.diagonal().mean() * torch.eye(len(matrix), dtype=torch.double, device=matrix.device)
    values, vectors = torch.linalg.eigh(matrix + ground)
    powered: Tensor = vectors * values.clamp(min=1e-12).pow(exponent) @ vectors.T
    return powered
