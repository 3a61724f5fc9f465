"""The networks: encoder f, projection head g and the prototype matrices M_s and M_t (paper, sec. 3; Fig. 1).

Images enter as float NCHW in [0, 1], RGB, 112×112; the encoder gives them the size (``model.input_size``) and the
normalisation that its weights were trained with, so no caller needs to know either.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline import backbones
from pipeline.config.learning import LinearModelParams, ModelParams
from pipeline.data.crops import CROP_SIZE
from pipeline.labels import NUM_CLASSES
from pipeline.networks.statistics import ClassStatistics


class InputNorm(nn.Module):
    """Turns RGB in [0, 1] into what the encoder's weights expect."""

    factor: Tensor
    offset: Tensor

    def __init__(self, norm: backbones.InputNorm) -> None:
        super().__init__()
        self.bgr = norm.bgr
        deviation = torch.tensor(norm.std).view(1, 3, 1, 1)
        self.register_buffer("factor", norm.scale / deviation, persistent=False)
        self.register_buffer("offset", -torch.tensor(norm.mean).view(1, 3, 1, 1) / deviation, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Float N×3×H×W in, the same shape out."""
        if self.bgr:
            images = images.flip(1)
        return torch.addcmul(self.offset, images, self.factor)


class InputSize(nn.Module):
    """Resizes to size×size, bilinearly; where that shrinks, with the filter widened (antialiasing)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        """Float N×3×H×W in, N×3×size×size out."""
        shrinks = self.size < min(images.shape[-2:])
        return F.interpolate(images, size=(self.size, self.size), mode="bilinear", antialias=shrinks)


def unit_rows(vectors: Tensor) -> Tensor:
    """Normalise rows to length 1, in float32 at least: bf16 keeps three digits, too few for a length."""
    return F.normalize(vectors.to(torch.promote_types(vectors.dtype, torch.float32)))


class Encoder(nn.Module):
    """f: a backbone with global average pooling, L2-normalised features; ‖f(x)‖ = 1.

    N×3×112×112 float in, N×``dim`` float out. Where a linear classifier stands on them, features stay as they are.

    Attributes:
        trunk: the backbone itself.
        dim: number of features.

    Raises:
        ParamsError: there is no such architecture, or it does not take pictures of this size.
    """

    def __init__(self, params: ModelParams) -> None:
        super().__init__()
        backbone = params.chosen_backbone()
        norm = params.input_norm(backbone)
        # By default the crops are what the network sees, and no resizing stands in the graph.
        self.size = nn.Identity() if params.input_size in (None, CROP_SIZE) else InputSize(params.input_size)
        self.norm = nn.Identity() if norm is None else InputNorm(norm)
        self.trunk = backbone.build(params.weights)
        self.dim = backbone.width(self.trunk)
        self._unit = not isinstance(params, LinearModelParams)
        # Channels last is the layout that convolutions are fast in, on CPUs and on tensor cores.
        self.trunk.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images)
        return unit_rows(features) if self._unit else features

    def features(self, images: Tensor) -> Tensor:
        """The features before they are normalised, N×``dim``."""
        images = self.norm(self.size(images)).contiguous(memory_format=torch.channels_last)
        features: Tensor = self.trunk(images)
        return features


class ProjectionHead(nn.Module):
    """g: Linear → BatchNorm → ReLU → Linear without bias → L2 norm; N×``features`` in, N×``dim`` out, ‖z‖ = 1.

    With ``model.projection_norm: batch`` a BatchNorm without scale and shift stands before the L2 norm, as in SimCLR's
    released code (Chen et al., ICML 2020). Each dimension of a batch then has mean 0 and variance 1: its projections
    point into all directions, whatever the weights.
    """

    def __init__(self, features: int, hidden: int, dim: int, norm: Literal["none", "batch"] = "none") -> None:
        super().__init__()
        self.dim = dim
        self.layers = nn.Sequential(
            nn.Linear(features, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, dim, bias=False),
        )
        if norm == "batch":
            self.layers.append(nn.BatchNorm1d(dim, affine=False))
        # The features have norm 1, not the √n that a layer's default initialisation counts on. Left at that, the
        # spread of its outputs would drown in the batch norm's epsilon, and little gradient would reach the encoder.
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        nn.init.normal_(first.weight)

    def forward(self, features: Tensor) -> Tensor:
        return unit_rows(self.layers(features))


class NoHead(nn.Module):
    """In the place of g where a linear classifier stands on the features: z = f(x)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, features: Tensor) -> Tensor:
        return features


class Network(nn.Module):
    """z = g(f(x)): encoder and projection head together, N×3×112×112 in, N×``model.projection_dim`` out."""

    def __init__(self, params: ModelParams) -> None:
        super().__init__()
        self.encoder = Encoder(params)
        self.head: ProjectionHead | NoHead
        if isinstance(params, LinearModelParams):
            self.head = NoHead(self.encoder.dim)
        else:
            self.head = ProjectionHead(
                self.encoder.dim, params.projection_hidden, params.projection_dim, params.projection_norm
            )

    def forward(self, images: Tensor) -> Tensor:
        projections: Tensor = self.head(self.encoder(images))
        return projections


class Prototypes(nn.Module):
    """A learnable prototype matrix M (paper, sec. 3.1): logits = z·Mᵀ, no bias, no temperature.

    Attributes:
        matrix: k×d.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        # The scale of a linear layer's default initialisation: small against the learned prototypes.
        self.matrix = nn.Parameter(torch.empty(NUM_CLASSES, dim).uniform_(-(dim**-0.5), dim**-0.5))

    def forward(self, projections: Tensor) -> Tensor:
        """N×d projections in, N×k logits out."""
        return projections @ self.matrix.T

    def fixed(self, projections: Tensor) -> Tensor:
        """The logits, through which no gradient reaches M."""
        return projections @ self.matrix.detach().T

    def directions(self, projections: Tensor) -> Tensor:
        """The projections (N×d) as unit rows, for what compares directions: they are already."""
        return projections

    @torch.no_grad()
    def replace(self, directions: Tensor) -> None:
        """Let these directions (k×d) take the place of M, and of all else that decides here."""
        self.matrix.copy_(directions)


class LinearClassifier(Prototypes):
    """The last layer of a network that was trained elsewhere: logits = z·Wᵀ + b, where z is no unit vector.

    Attributes:
        matrix: W, k×d; 0 of an expression that the network does not know.
        bias: b, k.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.bias = nn.Parameter(torch.zeros(NUM_CLASSES))

    def forward(self, projections: Tensor) -> Tensor:
        return projections @ self.matrix.T + self.bias

    def fixed(self, projections: Tensor) -> Tensor:
        return projections @ self.matrix.detach().T + self.bias.detach()

    def directions(self, projections: Tensor) -> Tensor:
        return unit_rows(projections)

    @torch.no_grad()
    def replace(self, directions: Tensor) -> None:
        super().replace(directions)
        self.bias.zero_()


class Decision(nn.Module):
    """From logits to probabilities: the softmax, after what is known of the classes. To begin with nothing is.

    Attributes:
        adjustment: k float, subtracted from the logits: τ·log of the classes' shares in training (logit adjustment,
            Menon et al., ICLR 2021).
        possible: k bool, the classes that occur in the target; the others get the probability 0.
    """

    adjustment: Tensor
    possible: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("adjustment", torch.zeros(NUM_CLASSES))
        self.register_buffer("possible", torch.ones(NUM_CLASSES, dtype=torch.bool))

    def adjust(self, shares: Tensor, strength: float) -> None:
        """Decide as if all classes were equally frequent.

        Args:
            shares: k float, of the classes in training, weights included; 0: unknown.
            strength: τ.
        """
        self.adjustment.copy_(strength * torch.where(shares > 0, shares, 1.0).log())

    def adjusted(self, shares: Tensor, strength: float) -> "Decision":
        """Another decision among the same possible classes, for a training in which they have other shares.

        Args:
            shares: as in ``adjust``.
            strength: as in ``adjust``.

        Returns:
            The new decision, on the device of this one.
        """
        other = Decision()
        other.adjust(shares, strength)
        other.possible.copy_(self.possible)
        return other.to(self.possible.device)

    def convert(self, probabilities: Tensor, other: "Decision") -> Tensor:
        """Turn probabilities of this decision into those that another one makes of the same logits.

        Args:
            probabilities: N×k, of this decision.
            other: a decision among the same possible classes.

        Returns:
            N×k probabilities.
        """
        weighed = probabilities * (self.adjustment - other.adjustment).exp()
        return weighed / weighed.sum(dim=1, keepdim=True)

    def restrict(self, classes: Iterable[int]) -> None:
        """Only these can be predicted, of those that could be before."""
        named = torch.zeros_like(self.possible)
        named[list(classes)] = True
        self.possible &= named

    def forward(self, logits: Tensor) -> Tensor:
        """N×k float in, N×k probabilities out."""
        return torch.softmax((logits - self.adjustment).masked_fill(~self.possible, -math.inf), dim=1)


class Calibration(nn.Module):
    """Probabilities as certain as they are right: softmax(log p / T) (Guo et al., ICML 2017). It changes no decision.

    Attributes:
        temperature: T, a float fitted on the source's test part; 1 to begin with.
    """

    temperature: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, probabilities: Tensor) -> Tensor:
        """N×k probabilities in, N×k out."""
        # p^(1/T) of the largest's share: a class with probability 0 keeps it, and nothing underflows.
        powers = (probabilities / probabilities.amax(dim=1, keepdim=True)) ** (1.0 / self.temperature)
        return powers / powers.sum(dim=1, keepdim=True)


class Classifier(nn.Module, ABC):
    """A model that predicts: images in, class probabilities out, in the order of EXPRESSIONS.

    What a method adapts is one of these; it is saved, scored, exported and registered as such. Training, scores and
    validators use the probabilities of ``embed``; users are shown those after ``calibration``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calibration = Calibration()

    @classmethod
    @abstractmethod
    def untrained(cls, params: ModelParams) -> Self:
        """A model with random weights, into which saved ones can be loaded."""

    @abstractmethod
    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Embed and classify, without calibration.

        Args:
            images: float N×3×112×112 in [0, 1].

        Returns:
            N×d, what the decision is made from, and N×k probabilities.
        """

    def forward(self, images: Tensor) -> Tensor:
        """Float N×3×112×112 in [0, 1] in, N×k calibrated probabilities out."""
        calibrated: Tensor = self.calibration(self.embed(images)[1])
        return calibrated


class PrototypeClassifier(Classifier):
    """softmax(z·Mᵀ) of z = g(f(x)): the source model with M_s (DT), POCAN's with M_t (docs/method.md).

    Of a network that was trained elsewhere ``prototypes`` is its linear classifier, and z are its features.

    Attributes:
        statistics: of the source's z, in a source model; it decides nothing. None in most adapted models, whose z is
            another one, and in source models of before it was kept.
    """

    def __init__(
        self,
        network: Network,
        prototypes: Prototypes,
        decision: Decision | None = None,
        statistics: ClassStatistics | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.prototypes = prototypes
        self.decision = decision or Decision()
        self.statistics = statistics

    @classmethod
    def untrained(cls, params: ModelParams) -> Self:
        if isinstance(params, LinearModelParams):
            return cls(Network(params), LinearClassifier(params.projection_dim))
        return cls(Network(params), Prototypes(params.projection_dim))

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        z = self.network(images)
        probabilities: Tensor = self.decision(self.prototypes(z))
        return z, probabilities
