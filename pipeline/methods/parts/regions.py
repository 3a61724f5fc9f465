"""What a face shows around its eyes, nose and mouth corners: features of five regions of an early feature map.

Where these lie is found in the very picture that the network sees, a view of a crop, by the last network of MTCNN. So a
picture's landmarks follow its crop, its mirroring and its enlargement, faces that another detector found have them as
well, and whatever predicts needs nothing but pictures.
"""

import itertools
import math
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.backbones.parts.resnet import BasicBlock
from pipeline.data.crops import CROP_SIZE
from pipeline.errors import ParamsError
from pipeline.faces.networks import ONet, load_weights
from pipeline.networks.inference import evaluating
from pipeline.networks.network import Encoder, Network

REGIONS = 5
"""Left eye, right eye, nose, left and right mouth corner, as the viewer sees them."""

BORDER = 16
"""Pixels around a view in which O-Net looks for landmarks: a view shows less than the whole face that it expects."""

CELLS, SHARE = 7, 1 / 28
"""A region is 7×7 places, each a 28th of the picture's side from the next: 7×7 of the published 28×28 feature map."""

LEAST_SHARE = 1 / 5
"""A feature map is fine enough when its side is at least this share of the picture's, in pixels."""

WIDTH = 64
"""Features of a region."""

WIDEST = (256, 512)
"""Channels of a region's two stages, at most: those of the published network, twice and four times its map's 128."""


class Landmarks(nn.Module):
    """Float N×3×112×112 in [0, 1] in; the five landmarks out, N×5×2, x and y as shares of the picture's side.

    They have no gradient and are not trained.
    """

    def __init__(self) -> None:
        super().__init__()
        self.onet = ONet().requires_grad_(False)

    def load(self) -> None:
        """Take the weights of the ``mtcnn`` package.

        Raises:
            WeightsError: they are missing.
        """
        load_weights(self.onet, "onet")

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Landmarks of a batch of views."""
        with torch.autocast(images.device.type, enabled=False):  # bf16 would move them by a pixel
            known = images.to(self.onet.landmarks.weight.dtype)
            bordered = F.pad(known, (BORDER,) * 4, mode="replicate")
            patches = F.avg_pool2d(bordered, bordered.shape[-1] // ONet.SIZE)
            _, _, shares = self.onet(patches * (255.0 / 128.0) - 127.5 / 128.0)
        side = images.shape[-1]
        found: Tensor = (shares.unflatten(1, (2, REGIONS)).transpose(1, 2) * (side + 2 * BORDER) - BORDER) / side
        return found


class Regions(nn.Module):
    """A branch of two residual stages for each landmark, on its region of the encoder's feature map.

    The map is the last one that is at least a fifth as wide as the picture.

    Raises:
        ParamsError: the backbone has no such feature map.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.layer, channels = fine_layer(encoder)
        self.landmarks = Landmarks()
        self.branches = nn.ModuleList(_branch(channels) for _ in range(REGIONS))

    def forward(self, features: Tensor, landmarks: Tensor) -> Tensor:
        """The feature map (N×C×H×W) and landmarks (N×5×2, shares of the side) in, N×(5·64) out."""
        found = regions(features, landmarks.to(features.dtype))
        return torch.cat([branch(found[:, place]) for place, branch in enumerate(self.branches)], dim=1)


class WithRegions(nn.Module):
    """Float N×3×112×112 in, N×(d + 5·64) out: z, then what the regions show."""

    def __init__(self, network: Network, regions: Regions) -> None:
        super().__init__()
        self.network, self.regions = network, regions

    def forward(self, images: Tensor) -> Tensor:
        """z and local features of a batch of images."""
        kept: list[Tensor] = []
        layer = self.network.encoder.trunk.get_submodule(self.regions.layer)
        handle = layer.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
        try:
            z = self.network.head(self.network.encoder(images))
        finally:
            handle.remove()
        local = self.regions(kept[-1], self.regions.landmarks(images))
        return torch.cat([z, local.to(z.dtype)], dim=1)


def regions(features: Tensor, landmarks: Tensor) -> Tensor:
    """The 7×7 places around each landmark, moved where they would reach beyond the picture: N×5×C×7×7.

    features: N×C×H×W. landmarks: N×5×2, x and y as shares of the side.
    """
    steps = SHARE * (torch.arange(CELLS, device=features.device, dtype=features.dtype) - CELLS // 2)
    margin = SHARE * CELLS / 2
    centres = landmarks.clamp(margin, 1.0 - margin)
    x, y = centres[:, :, None, :, None].unbind(dim=3)
    shape = (*centres.shape[:2], CELLS, CELLS)
    places = torch.stack([(x + steps).expand(shape), (y + steps[:, None]).expand(shape)], dim=4)
    grid = 2.0 * places.flatten(1, 2) - 1.0
    taken = F.grid_sample(features, grid, padding_mode="border", align_corners=False)
    by_landmark: Tensor = taken.unflatten(2, (REGIONS, CELLS)).transpose(1, 2)
    return by_landmark


def fine_layer(encoder: Encoder) -> tuple[str, int]:
    """The name within the encoder's trunk of the layer whose output is taken, and its channels.

    Raises:
        ParamsError: no layer gives such a feature map.
    """
    shapes: dict[str, torch.Size] = {}

    def note(name: str, _module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            shapes[name] = output.shape

    layers = [(name, layer) for name, layer in encoder.trunk.named_modules() if name]
    handles = [layer.register_forward_hook(partial(note, name)) for name, layer in layers]
    sizes: list[int] = []
    handles.append(encoder.trunk.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape[-1])))
    example = torch.zeros(1, 3, CROP_SIZE, CROP_SIZE, device=next(encoder.parameters()).device)
    with torch.no_grad(), evaluating(encoder):
        encoder.features(example)
    for handle in handles:
        handle.remove()
    found = _last_fine(encoder.trunk, "", shapes, math.ceil(LEAST_SHARE * sizes[0]))
    if not found:
        raise ParamsError(
            "model.backbone: this network has no feature map that regions of a face can be taken from; "
            "choose a convolutional one, or another adapt.method"
        )
    return found, shapes[found][1]


def _last_fine(module: nn.Module, prefix: str, shapes: dict[str, torch.Size], least: int) -> str:
    """The last of the layers in a row, and in chains of such, whose map has a side of ``least``; "": there is none."""
    found = ""
    for name, child in module.named_children():
        shape = shapes.get(f"{prefix}{name}", torch.Size())
        if len(shape) != 4:
            continue
        if min(shape[2:]) < least:
            within = _last_fine(child, f"{prefix}{name}.", shapes, least) if isinstance(child, nn.Sequential) else ""
            return within or found
        found = f"{prefix}{name}"
    return found


def _branch(channels: int) -> nn.Module:
    """Two stages of two residual blocks, each at half the resolution before it, and their mean: N×C×7×7 to N×64."""
    widths = [channels, *(min(factor * channels, most) for factor, most in zip((2, 4), WIDEST, strict=True))]
    layers: list[nn.Module] = []
    for narrow, wide in itertools.pairwise(widths):
        shortcut = nn.Sequential(nn.Conv2d(narrow, wide, 1, stride=2, bias=False), nn.BatchNorm2d(wide))
        layers += [BasicBlock(narrow, wide, stride=2, downsample=shortcut), BasicBlock(wide, wide)]
    layers += [nn.Conv2d(widths[-1], WIDTH, 3, padding=1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    branch = nn.Sequential(*layers)
    for module in branch.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return branch
