"""The networks: encoder f, projection head g and the prototype matrices M_s and M_t (paper, sec. 3; Fig. 1).

Inputs are RGB images, float N×3×112×112 in [0, 1]. The encoder resizes (``model.input_size``) and normalises them as
its weights expect, so callers need to do neither.
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
from pipeline.networks.grey_levels import GreyLevels
from pipeline.networks.restoration import Restoration
from pipeline.networks.statistics import ClassStatistics


class InputNorm(nn.Module):
    """Normalises RGB in [0, 1] as the encoder's weights expect."""

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
    """Resizes to size×size by bilinear interpolation, with antialiasing when shrinking."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        """Float N×3×H×W in, N×3×size×size out."""
        shrinks = self.size < min(images.shape[-2:])
        return F.interpolate(images, size=(self.size, self.size), mode="bilinear", antialias=shrinks)


def unit_rows(vectors: Tensor) -> Tensor:
    """Normalise rows to length 1, at least in float32: the precision of bf16 is too low for norms."""
    return F.normalize(vectors.to(torch.promote_types(vectors.dtype, torch.float32)))


class Encoder(nn.Module):
    """f: a backbone with global average pooling and L2-normalised features, ‖f(x)‖ = 1.

    N×3×112×112 float in, N×``dim`` float out. In an imported model (linear classifier) features are not normalised.
    Restored features do not have length 1: the map comes after the normalisation.

    Attributes:
        trunk: the backbone.
        dim: number of features.
        tone: changes the pictures first: a ``ToneCurve`` if the grey levels of a target are matched, otherwise nothing.
        restoration: maps the features last, if those of a target are restored.

    Raises:
        ParamsError: the architecture does not exist, or does not take pictures of this size.
    """

    def __init__(self, params: ModelParams) -> None:
        super().__init__()
        backbone = params.chosen_backbone()
        norm = params.input_norm(backbone)
        # By default crops are not resized, and the graph has no resizing operation.
        self.size = nn.Identity() if params.input_size in (None, CROP_SIZE) else InputSize(params.input_size)
        self.norm = nn.Identity() if norm is None else InputNorm(norm)
        self.tone: nn.Module = nn.Identity()
        self.restoration: Restoration | None = None
        self.trunk = backbone.build(params.weights)
        self.dim = backbone.width(self.trunk)
        self._unit = not isinstance(params, LinearModelParams)
        # Convolutions are faster in channels-last layout, on CPUs and on tensor cores.
        self.trunk.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images)
        if self._unit:
            features = unit_rows(features)
        # A regression predicts the mean of what is possible: the less is known, the shorter. So it is not normalised.
        return features if self.restoration is None else self.restoration(features)

    def features(self, images: Tensor) -> Tensor:
        """Return the features before L2 normalisation, N×``dim``."""
        images = self.norm(self.size(self.tone(images))).contiguous(memory_format=torch.channels_last)
        features: Tensor = self.trunk(images)
        return features


class ProjectionHead(nn.Module):
    """g: Linear → BatchNorm → ReLU → Linear without bias → L2 norm; N×``features`` in, N×``dim`` out, ‖z‖ = 1.

    With ``model.projection_norm: batch`` a BatchNorm without scale and shift precedes the L2 norm, as in SimCLR's
    released code (Chen et al., ICML 2020). Each dimension then has mean 0 and variance 1 over a batch, so projections
    cannot collapse to one point.
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
        # Features have norm 1, not the √n that a linear layer's default initialisation assumes. With that
        # initialisation, the variance of the outputs would be below the batch norm's epsilon, and gradients tiny.
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        nn.init.normal_(first.weight)

    def forward(self, features: Tensor) -> Tensor:
        return unit_rows(self.layers(features))


class NoHead(nn.Module):
    """Replaces g in an imported model, whose linear classifier works on features: z = f(x)."""

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
    """A learnable prototype matrix M (paper, sec. 3.1): logits = z·Mᵀ, without bias and temperature.

    Attributes:
        matrix: k×d.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        # The range of a linear layer's default initialisation: small compared with learned prototypes.
        self.matrix = nn.Parameter(torch.empty(NUM_CLASSES, dim).uniform_(-(dim**-0.5), dim**-0.5))

    def forward(self, projections: Tensor) -> Tensor:
        """N×d projections in, N×k logits out."""
        return projections @ self.matrix.T

    def fixed(self, projections: Tensor) -> Tensor:
        """Return the logits without a gradient to M."""
        return projections @ self.matrix.detach().T

    def directions(self, projections: Tensor) -> Tensor:
        """Return the projections (N×d) as unit rows. Here they have length 1 already."""
        return projections

    @torch.no_grad()
    def replace(self, directions: Tensor) -> None:
        """Replace M by these class vectors, k×d, and set the bias to 0 if there is one."""
        self.matrix.copy_(directions)


class LinearClassifier(Prototypes):
    """The last layer of an imported network: logits = z·Wᵀ + b, where z is not normalised.

    Attributes:
        matrix: W, k×d; rows of expressions that the network does not know are 0.
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
    """Turns logits into probabilities: logit adjustment, restriction to possible classes, softmax.

    Initially there is no adjustment, and all classes are possible.

    Attributes:
        adjustment: subtracted from the logits, k float: τ·log of the class shares in training (logit adjustment,
            Menon et al., ICLR 2021).
        possible: the classes that occur in the target, k bool; the others get probability 0.
    """

    adjustment: Tensor
    possible: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("adjustment", torch.zeros(NUM_CLASSES))
        self.register_buffer("possible", torch.ones(NUM_CLASSES, dtype=torch.bool))

    def adjust(self, shares: Tensor, strength: float) -> None:
        """Set the logit adjustment; with τ = 1 it predicts as if all classes were equally frequent.

        Args:
            shares: class shares in training, class weights included, k float; 0: unknown, not adjusted.
            strength: τ.
        """
        self.adjustment.copy_(strength * torch.where(shares > 0, shares, 1.0).log())

    def adjusted(self, shares: Tensor, strength: float) -> "Decision":
        """Return a new decision with the same possible classes and another logit adjustment, on the same device.

        Args:
            shares: as in ``adjust``.
            strength: as in ``adjust``.
        """
        other = Decision()
        other.adjust(shares, strength)
        other.possible.copy_(self.possible)
        return other.to(self.possible.device)

    def convert(self, probabilities: Tensor, other: "Decision") -> Tensor:
        """Convert probabilities by this decision to those that another decision gives for the same logits.

        Args:
            probabilities: probabilities by this decision, N×k.
            other: a decision with the same possible classes.

        Returns:
            Probabilities, N×k.
        """
        weighed = probabilities * (self.adjustment - other.adjustment).exp()
        return weighed / weighed.sum(dim=1, keepdim=True)

    def restrict(self, classes: Iterable[int]) -> None:
        """Make all other classes impossible."""
        named = torch.zeros_like(self.possible)
        named[list(classes)] = True
        self.possible &= named

    def forward(self, logits: Tensor) -> Tensor:
        """N×k float in, N×k probabilities out."""
        return torch.softmax((logits - self.adjustment).masked_fill(~self.possible, -math.inf), dim=1)


class Calibration(nn.Module):
    """Temperature scaling: softmax(log p / T) (Guo et al., ICML 2017). It does not change the predicted class.

    Attributes:
        temperature: T, a float fitted on the source's test rows; initially 1.
    """

    temperature: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, probabilities: Tensor) -> Tensor:
        """N×k probabilities in, N×k out."""
        # Powers of p / max(p): probability 0 stays 0, and nothing underflows.
        powers = (probabilities / probabilities.amax(dim=1, keepdim=True)) ** (1.0 / self.temperature)
        return powers / powers.sum(dim=1, keepdim=True)


class Classifier(nn.Module, ABC):
    """A model that maps images to class probabilities, in the order of EXPRESSIONS.

    Every adapted model is a ``Classifier``, and is saved, scored, exported and registered as one. Training, scores and
    validators use the probabilities of ``embed``. Users see the probabilities after ``calibration``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calibration = Calibration()

    @classmethod
    @abstractmethod
    def untrained(cls, params: ModelParams) -> Self:
        """Create a model with random weights, into which saved ones can be loaded."""

    @abstractmethod
    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Embed and classify, without calibration.

        Args:
            images: float N×3×112×112 in [0, 1].

        Returns:
            The embeddings that are classified, N×d, and probabilities, N×k.
        """

    def forward(self, images: Tensor) -> Tensor:
        """Float N×3×112×112 in [0, 1] in, N×k calibrated probabilities out."""
        calibrated: Tensor = self.calibration(self.embed(images)[1])
        return calibrated


class PrototypeClassifier(Classifier):
    """softmax(z·Mᵀ) of z = g(f(x)): the source model with M_s (DT), POCAN's model with M_t (docs/method.md).

    In an imported model ``prototypes`` is its linear classifier, and z are its features.

    Attributes:
        grey_levels: of the source's pictures, in a source model; predictions do not depend on them. None in models of
            older versions and in imported ones.
        statistics: class statistics of the source's z; predictions do not depend on them. Only source models have them;
            most adapted models, whose z differs, and source models of older versions have None.
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
        self.grey_levels: GreyLevels | None = None

    @classmethod
    def untrained(cls, params: ModelParams) -> Self:
        if isinstance(params, LinearModelParams):
            return cls(Network(params), LinearClassifier(params.projection_dim))
        return cls(Network(params), Prototypes(params.projection_dim))

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        z = self.network(images)
        probabilities: Tensor = self.decision(self.prototypes(z))
        return z, probabilities
