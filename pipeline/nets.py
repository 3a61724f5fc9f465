"""The networks: encoder f, projection head g and the prototype matrices M_s and M_t (paper, sec. 3; Fig. 1).

Images enter as float NCHW in [0, 1], RGB, 112×112; the encoder applies the input normalisation its weights were
trained with, so no caller needs to know it.
"""

import itertools
from collections.abc import Callable

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from pipeline.labels import NUM_CLASSES
from pipeline.params import ModelParams


class SlimResNet10(nn.Sequential):
    """A ResNet-10 of half the usual width (32 to 256 channels, 256-d features): the demo's encoder, made for CPUs."""

    def __init__(self) -> None:
        widths = (32, 64, 128, 256)
        blocks: list[nn.Module] = [BasicBlock(32, 32)]
        for narrow, wide in itertools.pairwise(widths):
            shortcut = nn.Sequential(nn.Conv2d(narrow, wide, 1, stride=2, bias=False), nn.BatchNorm2d(wide))
            blocks.append(BasicBlock(narrow, wide, stride=2, downsample=shortcut))
        stem = nn.Sequential(
            nn.Conv2d(3, 32, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        super().__init__(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


_BUILDERS: dict[str, Callable[[], ResNet]] = {
    "resnet18": torchvision.models.resnet18,
    "resnet34": torchvision.models.resnet34,
    "resnet50": torchvision.models.resnet50,
}


class InputNorm(nn.Module):
    """Turns RGB in [0, 1] into what the encoder's weights expect: (x·scale − mean) / std, in BGR order if ``bgr``."""

    factor: Tensor
    offset: Tensor

    def __init__(self, scale: float, mean: tuple[float, ...], std: tuple[float, ...], bgr: bool) -> None:
        super().__init__()
        self.bgr = bgr
        deviation = torch.tensor(std).view(1, 3, 1, 1)
        self.register_buffer("factor", scale / deviation, persistent=False)
        self.register_buffer("offset", -torch.tensor(mean).view(1, 3, 1, 1) / deviation, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Float N×3×H×W in, the same shape out."""
        if self.bgr:
            images = images.flip(1)
        return torch.addcmul(self.offset, images, self.factor)


def input_norm(weights: str) -> nn.Module:
    """The normalisation that goes with ``model.weights`` (docs/method.md)."""
    if weights == "vggface2":
        # Mean of the VGGFace2 training faces, BGR, 0–255 (Cao et al. 2018).
        return InputNorm(255.0, (91.4953, 103.8827, 131.0912), (1.0, 1.0, 1.0), bgr=True)
    if weights == "imagenet":
        return InputNorm(1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), bgr=False)
    return nn.Identity()


def _unit_rows(vectors: Tensor) -> Tensor:
    """L2 normalisation, in float32 at least: bf16 keeps three digits, too few for a length."""
    return F.normalize(vectors.to(torch.promote_types(vectors.dtype, torch.float32)))


class Encoder(nn.Module):
    """f: a ResNet without its classifier, global average pooling, L2-normalised features.

    N×3×112×112 float in, N×``dim`` float out (dim 256 for ResNet-10, 512 for 18 and 34, 2048 for 50), ‖f(x)‖ = 1.
    """

    def __init__(self, params: ModelParams) -> None:
        super().__init__()
        self.norm = input_norm(params.weights)
        self.trunk, self.dim = _trunk(params)
        # Channels last is the layout that convolutions are fast in, on CPUs and on tensor cores.
        self.trunk.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Unit features of a batch of images."""
        images = self.norm(images).contiguous(memory_format=torch.channels_last)
        return _unit_rows(self.trunk(images))


def _trunk(params: ModelParams) -> tuple[nn.Module, int]:
    """The convolutional part of ``params.backbone`` with global average pooling, and its number of features."""
    if params.backbone == "resnet10":
        return SlimResNet10(), 256
    trunk = _BUILDERS[params.backbone]()
    dim = trunk.fc.in_features
    trunk.fc = nn.Identity()
    if params.weights == "vggface2":
        _follow_caffe(trunk)
    return trunk, dim


def _follow_caffe(trunk: ResNet) -> None:
    """Give a ResNet-50 the geometry of the Caffe model that the VGGFace2 weights come from.

    There the first 1×1 convolution of a stage strides, not the 3×3 one, and the first pooling rounds its size up.
    The weights load into either geometry, but the features are only right in this one.
    """
    trunk.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=0, ceil_mode=True)
    for stage in (trunk.layer2, trunk.layer3, trunk.layer4):
        first = stage[0]
        assert isinstance(first, Bottleneck)
        first.conv1.stride, first.conv2.stride = first.conv2.stride, first.conv1.stride


class ProjectionHead(nn.Module):
    """g: Linear → BatchNorm → ReLU → Linear without bias → L2 norm; N×``features`` in, N×``dim`` out, ‖z‖ = 1."""

    def __init__(self, features: int, hidden: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.layers = nn.Sequential(
            nn.Linear(features, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, dim, bias=False),
        )
        # The features have norm 1, not the √n that a layer's default initialisation counts on. Left at that, the
        # spread of its outputs would drown in the batch norm's epsilon, and little gradient would reach the encoder.
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        nn.init.normal_(first.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Unit projections of a batch of features."""
        return _unit_rows(self.layers(features))


class Network(nn.Module):
    """z = g(f(x)): encoder and projection head together, N×3×112×112 in, N×``model.projection_dim`` out."""

    def __init__(self, params: ModelParams) -> None:
        super().__init__()
        self.encoder = Encoder(params)
        self.head = ProjectionHead(self.encoder.dim, params.projection_hidden, params.projection_dim)

    def forward(self, images: Tensor) -> Tensor:
        """Unit projections z of a batch of images."""
        projections: Tensor = self.head(self.encoder(images))
        return projections


class Prototypes(nn.Module):
    """A learnable prototype matrix M, k×d (paper, sec. 3.1): logits = z·Mᵀ, no bias, no temperature."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        # The scale of a linear layer's default initialisation: small against the learned prototypes.
        self.matrix = nn.Parameter(torch.empty(NUM_CLASSES, dim).uniform_(-(dim**-0.5), dim**-0.5))

    def forward(self, projections: Tensor) -> Tensor:
        """N×d projections in, N×k logits out."""
        return projections @ self.matrix.T


class AdaptedNetwork(nn.Module):
    """The deployed model: images in, class probabilities out (docs/method.md).

    ``prototypes`` is M_t after adaptation, M_s before it (DT).
    """

    def __init__(self, network: Network, prototypes: Prototypes) -> None:
        super().__init__()
        self.network = network
        self.prototypes = prototypes

    def forward(self, images: Tensor) -> Tensor:
        """Float N×3×112×112 in [0, 1] in, N×k probabilities out, in the order of EXPRESSIONS."""
        return torch.softmax(self.prototypes(self.network(images)), dim=1)
