"""Moving a target's z to where the source's lies, and a model that does so with every picture."""

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
    """How shares and shift are found in turn.

    Attributes:
        rounds: How many times, at most.
        begin: nothing (δ = 0) or means (the difference of the means, which is right where the shares are the source's).
        shares: Of the predicted labels, or the mean probabilities.
        guarded: Whether a round after which the predictions have no more information than before is not taken, and is
            the last.
    """

    rounds: int = 10
    begin: Literal["nothing", "means"] = "nothing"
    shares: Literal["labels", "probabilities"] = "labels"
    guarded: bool = True


class Shift(nn.Module):
    """z becomes (A·z + b) / ‖A·z + b‖; to begin with, itself. N×d float in and out.

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
    """softmax(z·Mᵀ) of shifted z. Every picture is taken for one of the target, also the source's."""

    def __init__(self, plain: PrototypeClassifier) -> None:
        """Put a shift between f, g and M of ``plain``, which are shared."""
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
    """The distance of the target's mean from that which the source would have with the target's shares.

    δ = mean(z) − Σ π_k·μ_k, where π are the shares of the classes that ``model`` predicts for z − δ, made unit rows
    again: both are found in turn. Unlike the distance of the means it does not take for a shift what other shares of
    the classes do. But it can confirm itself: the more pictures a class is predicted for, the nearer to its mean the
    target is moved, up to one class for all. So it can be told to go on only while information grows.

    Args:
        z: of the target's training pictures, N×d float.
        model: its prototypes and its decision predict.
        statistics: of the source.
        how: where it begins, how shares are counted, and when it ends.

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
    """Shares (k) of N×k probabilities; a class that the source does not have counts for nothing."""
    if counted == "labels":
        predicted = F.one_hot(predicted.argmax(dim=1), NUM_CLASSES).to(predicted.dtype)
    counts = predicted.sum(dim=0) * (statistics.shares > 0)
    return counts / counts.sum().clamp(min=1e-12)


def information(probabilities: Tensor) -> float:
    """Entropy of the mean prediction less the predictions' mean entropy, of N×k (``pipeline.validators``)."""
    varied = torch.special.entr(probabilities.double().mean(dim=0)).sum()
    return float(varied - torch.special.entr(probabilities.double()).sum(dim=1).mean())


def alignment(z: Tensor, statistics: ClassStatistics, ridge: float) -> tuple[Tensor, Tensor]:
    """CORAL (Sun et al., AAAI 2016): A and b with which the target gets the source's mean and covariance.

    A = C_s^½·C_t^−½: the target is whitened and then coloured as the source. (The paper does so with the source and
    trains on it; here the classifier stays, so the target has to move.) To each covariance ``ridge`` times its mean
    variance is added, which for features of variance 1 is the paper's.

    Args:
        z: of the target's training pictures, N×d float.
        statistics: of the source.
        ridge: λ.

    Returns:
        A (d×d) and b (d), float.
    """
    root = _power(statistics.covariance, 0.5, ridge)
    matrix = root @ _power(covariance(z), -0.5, ridge)
    offset = statistics.mean().double() - matrix @ z.double().mean(dim=0)
    return matrix.to(z.dtype), offset.to(z.dtype)


def _power(matrix: Tensor, exponent: float, ridge: float) -> Tensor:
    """A power of a symmetric matrix (d×d) and ``ridge`` times the mean of its diagonal on that, float64."""
    matrix = matrix.double()
    ground = ridge * matrix.diagonal().mean() * torch.eye(len(matrix), dtype=torch.double, device=matrix.device)
    values, vectors = torch.linalg.eigh(matrix + ground)
    powered: Tensor = vectors * values.clamp(min=1e-12).pow(exponent) @ vectors.T
    return powered
