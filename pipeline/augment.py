"""Training views and the evaluation view, a whole batch at a time on its own device (docs/method.md).

Every image of a batch draws its own parameters, always from a CPU generator, so that the same seed gives the same
draws on every device. Images are float N×3×S×S, RGB in [0, 1].

The sides, not the areas, of the random crops are drawn: that is what the released code does, and it is what goes with
the evaluation's central crop of 0.85 of the side.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.params import AugmentParams

RandomView = Callable[[Tensor, torch.Generator], Tensor]

BRIGHTNESS = CONTRAST = SATURATION = 0.4
HUE = 0.1
BLUR_SIGMA = (0.1, 2.0)
_LUMA = (0.2989, 0.587, 0.114)  # the grey of torchvision's and PIL's conversions


def to_float(images: Tensor) -> Tensor:
    """uint8 N×3×S×S to float in [0, 1]."""
    return images.float().div_(255.0)


def training_view(images: Tensor, params: AugmentParams, generator: torch.Generator) -> Tensor:
    """One random view of every image: crop and flip, colour jitter, greyscale, blur. Shape and range stay."""
    images = random_crop_flip(images, params.crop, params.flip, generator)
    images = _where_drawn(images, params.jitter, generator, random_jitter)
    images = _where_drawn(images, params.grayscale, generator, lambda chosen, _: grayscale(chosen))
    return _where_drawn(images, params.blur, generator, random_blur)


def evaluation_view(images: Tensor, side: float) -> Tensor:
    """The central crop of ``side`` of each side, resized back."""
    count, size = len(images), images.shape[-1]
    centre = torch.full((count,), 0.5)
    return _crop_flip(images, torch.full((count,), side), centre, centre, torch.zeros(count, dtype=torch.bool), size)


def random_crop_flip(images: Tensor, crop: tuple[float, float], flip: float, generator: torch.Generator) -> Tensor:
    """A square crop with a side of U(crop) of the image's at a random place, resized back; mirrored with p = flip."""
    count = len(images)
    side, left, top, mirror = torch.rand(4, count, generator=generator)
    side = crop[0] + (crop[1] - crop[0]) * side
    return _crop_flip(images, side, left, top, mirror < flip, images.shape[-1])


def _crop_flip(images: Tensor, side: Tensor, left: Tensor, top: Tensor, mirror: Tensor, size: int) -> Tensor:
    """Crop by share of the side; left and top are shares of the free space (0: at the edge, 1: at the far edge)."""
    free = 1.0 - side
    sign = torch.where(mirror, -1.0, 1.0)
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0] = side * sign
    theta[:, 1, 1] = side
    theta[:, 0, 2] = free * (2.0 * left - 1.0)
    theta[:, 1, 2] = free * (2.0 * top - 1.0)
    grid = F.affine_grid(theta.to(images.device), [len(images), 3, size, size], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def random_jitter(images: Tensor, generator: torch.Generator) -> Tensor:
    """Brightness, contrast, saturation and hue in a random order of each image's own."""
    count = len(images)
    draws = torch.rand(4, count, generator=generator)
    strength = torch.tensor([BRIGHTNESS, CONTRAST, SATURATION, HUE])[:, None]
    factors = (2.0 * draws - 1.0) * strength + torch.tensor([1.0, 1.0, 1.0, 0.0])[:, None]
    order = torch.rand(count, 4, generator=generator).argsort(dim=1)
    adjust = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)
    images = images.clone()
    for position in range(4):
        for kind, function in enumerate(adjust):
            rows = (order[:, position] == kind).nonzero().squeeze(1)
            if len(rows):
                factor = factors[kind, rows].to(images.device)
                rows = rows.to(images.device)
                images[rows] = function(images[rows], factor)
    return images


def grayscale(images: Tensor) -> Tensor:
    """The luma of each pixel in all three channels."""
    return _luma(images).expand_as(images)


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiply by one factor an image (N float); as torchvision's function of this name."""
    return _blend(images, torch.zeros_like(images), factor)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Move away from the image's mean luma by one factor an image (N float); as torchvision's."""
    return _blend(images, _luma(images).mean(dim=(1, 2, 3), keepdim=True), factor)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Move away from the image's grey by one factor an image (N float); as torchvision's."""
    return _blend(images, _luma(images), factor)


def adjust_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue by ``shift`` (N float, in turns, within ±0.5); as torchvision's, through HSV."""
    value, index = images.max(dim=1)
    chroma = value - images.min(dim=1).values
    red, green, blue = images.unbind(dim=1)
    safe = torch.where(chroma > 0, chroma, torch.ones_like(chroma))
    # The sector of the hue circle is the largest channel's; a grey pixel has hue 0.
    sector = torch.stack([(green - blue) / safe % 6.0, (blue - red) / safe + 2.0, (red - green) / safe + 4.0], dim=1)
    hue = sector.gather(1, index[:, None]).squeeze(1) + 6.0 * shift.view(-1, 1, 1)
    # Each channel is value − chroma · clamp(min(k, 4 − k), 0, 1) with k = (n + hue) mod 6 and n = 5, 3, 1.
    offsets = torch.tensor([5.0, 3.0, 1.0], device=images.device).view(1, 3, 1, 1)
    k = (offsets + hue[:, None]) % 6.0
    return value[:, None] - chroma[:, None] * torch.minimum(k, 4.0 - k).clamp(0.0, 1.0)


def random_blur(images: Tensor, generator: torch.Generator) -> Tensor:
    """A 3×3 Gaussian blur with a sigma of U(0.1, 2.0) pixels of each image's own (the released code's kernel)."""
    low, high = BLUR_SIGMA
    return gaussian_blur(images, low + (high - low) * torch.rand(len(images), generator=generator))


def gaussian_blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Separable 3×3 Gaussian blur, one sigma an image (N float, pixels), edges reflected."""
    side = torch.exp(-0.5 / sigma.to(images.device).view(-1, 1, 1, 1) ** 2)
    norm = 1.0 + 2.0 * side
    padded = F.pad(images, (0, 0, 1, 1), mode="reflect")
    images = (padded[:, :, 1:-1] + side * (padded[:, :, :-2] + padded[:, :, 2:])) / norm
    padded = F.pad(images, (1, 1, 0, 0), mode="reflect")
    return (padded[..., 1:-1] + side * (padded[..., :-2] + padded[..., 2:])) / norm


def _where_drawn(images: Tensor, probability: float, generator: torch.Generator, function: RandomView) -> Tensor:
    """Apply ``function`` to the images that draw below ``probability``; the others stay."""
    drawn = torch.rand(len(images), generator=generator) < probability
    rows = drawn.nonzero().squeeze(1).to(images.device)
    if len(rows) == 0:
        return images
    images = images.clone()
    images[rows] = function(images[rows], generator)
    return images


def _luma(images: Tensor) -> Tensor:
    weights = torch.tensor(_LUMA, device=images.device).view(1, 3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True)


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    factor = factor.view(-1, 1, 1, 1)
    return (factor * images + (1.0 - factor) * other).clamp(0.0, 1.0)
