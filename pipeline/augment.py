"""Training views and the evaluation view, a whole batch at a time on its own device (docs/method.md).

Every image of a batch draws its own parameters, always from a CPU generator, so that the same seed gives the same
draws on every device. The draws are made before and apart from the views, so that processes that share a batch can all
make the same draws and each compute its own part. Images are float N×3×S×S, RGB in [0, 1].

The sides, not the areas, of the random crops are drawn: that is what the released code does, and it is what goes with
the evaluation's central crop of 0.85 of the side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.device import upload
from pipeline.params import AugmentParams

BRIGHTNESS = CONTRAST = SATURATION = 0.4
HUE = 0.1
BLUR_SIGMA = (0.1, 2.0)
_LUMA = (0.2989, 0.587, 0.114)  # the grey of torchvision's and PIL's conversions

# The columns of a draw.
_SIDE, _LEFT, _TOP, _MIRROR, _JITTERED, _GREY, _BLURRED, _SIGMA = range(8)
_FACTORS, _ORDER, _COLUMNS = slice(8, 12), slice(12, 16), 16


def to_float(images: Tensor) -> Tensor:
    """uint8 N×3×S×S to float in [0, 1]."""
    return images.float().div_(255.0)


def draw(count: int, generator: torch.Generator) -> Tensor:
    """All that ``count`` views leave to chance: float count×16 of U(0, 1) on the CPU, a row a view."""
    return torch.rand(count, _COLUMNS, generator=generator)


def training_view(images: Tensor, draws: Tensor, params: AugmentParams) -> Tensor:
    """One random view of every image: crop and flip, colour jitter, greyscale, blur. Shape and range stay.

    draws: a row of ``draw`` for each image.
    """
    images = random_crop_flip(images, draws, params.crop, params.flip)
    views = _Views(images, torch.arange(len(images)))
    views = _jittered(views, draws, draws[:, _JITTERED] < params.jitter)
    views = _changed(views, draws[:, _GREY] < params.grayscale, (None, lambda chosen, _: grayscale(chosen)))
    low, high = BLUR_SIGMA
    sigma = upload(low + (high - low) * draws[:, _SIGMA], images.device)
    views = _changed(
        views, draws[:, _BLURRED] < params.blur, (None, lambda chosen, rows: gaussian_blur(chosen, sigma[rows]))
    )
    return views.images.index_select(0, upload(views.rows.argsort(), images.device))


def evaluation_view(images: Tensor, side: float) -> Tensor:
    """The central crop of ``side`` of each side, resized back."""
    count = len(images)
    centre = torch.full((count,), 0.5)
    return _crop_flip(images, torch.full((count,), side), centre, centre, torch.zeros(count, dtype=torch.bool))


def random_crop_flip(images: Tensor, draws: Tensor, crop: tuple[float, float], flip: float) -> Tensor:
    """A square crop with a side of U(crop) of the image's at a random place, resized back; mirrored with p = flip."""
    side = crop[0] + (crop[1] - crop[0]) * draws[:, _SIDE]
    return _crop_flip(images, side, draws[:, _LEFT], draws[:, _TOP], draws[:, _MIRROR] < flip)


def _crop_flip(images: Tensor, side: Tensor, left: Tensor, top: Tensor, mirror: Tensor) -> Tensor:
    """Crop by share of the side; left and top are shares of the free space (0: at the edge, 1: at the far edge)."""
    free = 1.0 - side
    width = torch.where(mirror, -side, side)
    placement = torch.stack([width, free * (2.0 * left - 1.0), side, free * (2.0 * top - 1.0)])
    scale_x, shift_x, scale_y, shift_y = upload(placement, images.device)[:, :, None]
    size = images.shape[-1]
    centres = (2.0 * torch.arange(size, device=images.device) + 1.0) / size - 1.0
    x, y = scale_x * centres + shift_x, scale_y * centres + shift_y
    shape = (len(images), size, size)
    grid = torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], dim=3)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


@dataclass(frozen=True)
class _Views:
    """Images in any order, and the row of the draws that each belongs to (int64, CPU)."""

    images: Tensor
    rows: Tensor


Change = Callable[[Tensor, Tensor], Tensor]
"""What is done to some images; it is also given their rows of the draws (int64, on the images' device)."""


def _changed(views: _Views, kind: Tensor, changes: Sequence[Change | None]) -> _Views:
    """Do to each image what ``changes`` has for its ``kind`` (N integers on the CPU, a row a draw); None: nothing.

    The result is in order of the kinds: putting images together is much faster than putting them back in their places.
    """
    kind = kind[views.rows]
    groups = [(kind == index).nonzero().squeeze(1) for index in range(len(changes))]
    device, parts = views.images.device, []
    for change, group in zip(changes, groups, strict=True):
        if len(group):
            part = views.images.index_select(0, upload(group, device))
            parts.append(change(part, upload(views.rows[group], device)) if change else part)
    return _Views(torch.cat(parts), views.rows[torch.cat(groups)])


def _jittered(views: _Views, draws: Tensor, chosen: Tensor) -> _Views:
    """Brightness, contrast, saturation and hue of the ``chosen`` (N bool) in a random order of each image's own."""
    strength = torch.tensor([BRIGHTNESS, CONTRAST, SATURATION, HUE])
    drawn = (2.0 * draws[:, _FACTORS] - 1.0) * strength + torch.tensor([1.0, 1.0, 1.0, 0.0])
    brightness, contrast, saturation, hue = upload(drawn.T, views.images.device)
    changes: tuple[Change | None, ...] = (
        lambda images, rows: adjust_brightness(images, brightness[rows]),
        lambda images, rows: adjust_contrast(images, contrast[rows]),
        lambda images, rows: adjust_saturation(images, saturation[rows]),
        lambda images, rows: adjust_hue(images, hue[rows]),
        None,
    )
    order = draws[:, _ORDER].argsort(dim=1)
    for position in range(4):
        views = _changed(views, torch.where(chosen, order[:, position], 4), changes)
    return views


def grayscale(images: Tensor) -> Tensor:
    """The luma of each pixel in all three channels."""
    return _luma(images).expand_as(images)


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiply by one factor an image (N float); as torchvision's function of this name."""
    return (images * factor.view(-1, 1, 1, 1)).clamp_(0.0, 1.0)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Move away from the image's mean luma by one factor an image (N float); as torchvision's."""
    return _blend(images, _luma(images).mean(dim=(1, 2, 3), keepdim=True), factor)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Move away from the image's grey by one factor an image (N float); as torchvision's."""
    return _blend(images, _luma(images), factor)


def adjust_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue by ``shift`` (N float, in turns, within ±0.5); as torchvision's, through HSV."""
    red, green, blue = images.unbind(dim=1)
    value = torch.maximum(torch.maximum(red, green), blue)
    darkest = torch.minimum(torch.minimum(red, green), blue)
    chroma = value - darkest
    # A grey pixel's differences are 0, and so is its hue, whatever they are multiplied with.
    inverse = chroma.clamp(min=torch.finfo(chroma.dtype).tiny).reciprocal_()
    # The sector of the hue circle, in sixths of a turn, is the largest channel's. A lerp by 0 or 1 chooses exactly
    # and is much faster than torch.where.
    is_red, is_green = (value == red).float(), (value == green).float()
    hue = torch.lerp(((red - green) * inverse).add_(4.0), ((blue - red) * inverse).add_(2.0), is_green)
    hue = torch.lerp(hue, (green - blue) * inverse, is_red)
    hue = hue.add_(6.0 * shift.view(-1, 1, 1)).remainder_(6.0)
    shares = ((hue - 3.0).abs_().sub_(1.0), 2.0 - (hue - 2.0).abs_(), 2.0 - (hue - 4.0).abs_())
    return torch.stack([torch.addcmul(darkest, chroma, share.clamp_(0.0, 1.0)) for share in shares], dim=1)


def gaussian_blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Separable 3×3 Gaussian blur, one sigma an image (N float, pixels), edges reflected (the released kernel)."""
    side = torch.exp(-0.5 / sigma.view(-1, 1, 1, 1) ** 2)
    norm = (1.0 + 2.0 * side).reciprocal()
    for dim in (2, 3):
        images = torch.addcmul(images, side, _both_neighbours(images, dim)).mul_(norm)
    return images


def _both_neighbours(images: Tensor, dim: int) -> Tensor:
    """The sum of the pixels before and after each pixel along ``dim``; beyond the edge the picture is reflected."""
    inner = images.shape[dim] - 2
    total = torch.empty_like(images)
    torch.add(images.narrow(dim, 0, inner), images.narrow(dim, 2, inner), out=total.narrow(dim, 1, inner))
    total.select(dim, 0).copy_(images.select(dim, 1)).mul_(2.0)
    total.select(dim, -1).copy_(images.select(dim, -2)).mul_(2.0)
    return total


def _luma(images: Tensor) -> Tensor:
    red, green, blue = images.unbind(dim=1)
    return (red * _LUMA[0]).add_(green, alpha=_LUMA[1]).add_(blue, alpha=_LUMA[2])[:, None]


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return torch.lerp(other.expand_as(images), images, factor.view(-1, 1, 1, 1)).clamp_(0.0, 1.0)
