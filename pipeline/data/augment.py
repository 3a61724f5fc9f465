"""Training views and the evaluation view, computed for a whole batch on its device (docs/method.md).

Each image has its own random parameters. They come from a CPU generator, so that a seed gives the same numbers on every
device. They are drawn separately from the views: processes that share a batch all draw the same numbers, and each
computes its own part. Images are float N×3×S×S, RGB in [0, 1].

For random crops the side is uniformly distributed, not the area. The released code does this too, and it fits the
central crop of the evaluation, whose side is 0.85 of the image's.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.compute.device import upload
from pipeline.config.learning import AugmentParams

BRIGHTNESS = CONTRAST = SATURATION = 0.4
HUE = 0.1
BLUR_SIGMA = (0.1, 2.0)
_LUMA = (0.2989, 0.587, 0.114)  # the weights of torchvision and PIL

# The columns of a draw.
_SIDE, _LEFT, _TOP, _MIRROR, _JITTERED, _GREY, _BLURRED, _SIGMA = range(8)
_FACTORS, _ORDER, _COLUMNS = slice(8, 12), slice(12, 16), 16


def to_float(images: Tensor) -> Tensor:
    """Convert uint8 N×3×S×S to float in [0, 1]."""
    return images.float().div_(255.0)


def draw(count: int, generator: torch.Generator) -> Tensor:
    """Draw all random numbers of ``count`` views.

    Returns:
        U(0, 1), float count×16, on the CPU; one row per view.
    """
    return torch.rand(count, _COLUMNS, generator=generator)


def training_view(images: Tensor, draws: Tensor, params: AugmentParams) -> Tensor:
    """Return one random view of each image: crop and flip, colour jitter, greyscale, blur.

    Args:
        images: float N×3×S×S in [0, 1].
        draws: one row of ``draw`` per image, on the CPU.
        params: ranges and probabilities.

    Returns:
        The views, with the images' shape, range and device.
    """
    packed = Packed()
    place = packed.add(_random_placement(draws, params.crop, params.flip))
    amounts = packed.add(_amounts(draws))
    order, plan = torch.arange(len(images)), []
    for kind, changes in _schedule(draws, params):
        order, groups = _divided(order, kind, len(changes), packed)
        plan.append((changes, groups))
    back = packed.add(order.argsort())
    sent = packed.upload(images.device)
    images = _resampled(images, sent[place])
    for changes, groups in plan:
        parts = []
        for change, (members, rows) in zip(changes, groups, strict=True):
            if len(sent[members]):
                part = images.index_select(0, sent[members])
                parts.append(change(part, sent[amounts][:, sent[rows]]) if change else part)
        images = torch.cat(parts)
    return images.index_select(0, sent[back])


def evaluation_view(images: Tensor, side: float) -> Tensor:
    """Return the central crop of each image, resized to the image's size.

    Args:
        images: float N×3×S×S in [0, 1].
        side: side of the crop, as a share of the image's side.
    """
    count = len(images)
    centre = torch.full((count,), 0.5)
    placement = _placement(torch.full((count,), side), centre, centre, torch.zeros(count, dtype=torch.bool))
    return _resampled(images, upload(placement, images.device))


def _random_placement(draws: Tensor, crop: tuple[float, float], flip: float) -> Tensor:
    side = crop[0] + (crop[1] - crop[0]) * draws[:, _SIDE]
    return _placement(side, draws[:, _LEFT], draws[:, _TOP], draws[:, _MIRROR] < flip)


def _placement(side: Tensor, left: Tensor, top: Tensor, mirror: Tensor) -> Tensor:
    """Return the placement of crops for ``_resampled``.

    Args:
        side: side of the crop, as a share of the image's side, N.
        left: horizontal position, as a share of the free space (0: left edge, 1: right edge), N.
        top: vertical position, likewise, N.
        mirror: whether to flip the crop, N bool.

    Returns:
        Scale and shift in x, then in y, 4×N.
    """
    free = 1.0 - side
    width = torch.where(mirror, -side, side)
    return torch.stack([width, free * (2.0 * left - 1.0), side, free * (2.0 * top - 1.0)])


def _resampled(images: Tensor, placement: Tensor) -> Tensor:
    """Crop and flip images; ``placement`` is a result of ``_placement`` (4×N), on the images' device."""
    scale_x, shift_x, scale_y, shift_y = placement[:, :, None]
    size = images.shape[-1]
    centres = (2.0 * torch.arange(size, device=images.device) + 1.0) / size - 1.0
    x, y = scale_x * centres + shift_x, scale_y * centres + shift_y
    shape = (len(images), size, size)
    grid = torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], dim=3)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


Change = Callable[[Tensor, Tensor], Tensor]
"""A change of n images; the second argument is their columns of ``_amounts`` (5×n, on the images' device)."""

_JITTER: tuple[Change | None, ...] = (
    lambda images, amounts: adjust_brightness(images, amounts[0]),
    lambda images, amounts: adjust_contrast(images, amounts[1]),
    lambda images, amounts: adjust_saturation(images, amounts[2]),
    lambda images, amounts: adjust_hue(images, amounts[3]),
    None,
)
_GREYSCALE: tuple[Change | None, ...] = (None, lambda images, _: grayscale(images))
_BLUR: tuple[Change | None, ...] = (None, lambda images, amounts: gaussian_blur(images, amounts[4]))


def _amounts(draws: Tensor) -> Tensor:
    """Return factors of brightness, contrast and saturation, shift of hue, and sigma of blur: 5×N."""
    strength = torch.tensor([BRIGHTNESS, CONTRAST, SATURATION, HUE])
    factors = (2.0 * draws[:, _FACTORS] - 1.0) * strength + torch.tensor([1.0, 1.0, 1.0, 0.0])
    low, high = BLUR_SIGMA
    return torch.cat([factors.T, (low + (high - low) * draws[:, _SIGMA])[None]])


def _schedule(draws: Tensor, params: AugmentParams) -> Iterator[tuple[Tensor, tuple[Change | None, ...]]]:
    """Yield the steps from crop to view, in order.

    Brightness, contrast, saturation and hue come in a random order, separately for each image.

    Yields:
        For each image the index of its change (N int64, in the order of the draws), and the changes of this step.
    """
    jittered, order = draws[:, _JITTERED] < params.jitter, draws[:, _ORDER].argsort(dim=1)
    for position in range(4):
        yield torch.where(jittered, order[:, position], 4), _JITTER
    yield (draws[:, _GREY] < params.grayscale).long(), _GREYSCALE
    yield (draws[:, _BLURRED] < params.blur).long(), _BLUR


def _divided(order: Tensor, kind: Tensor, kinds: int, packed: "Packed") -> tuple[Tensor, list[tuple[int, int]]]:
    """Sort images by their change.

    They stay in this order: gathering images is much faster than scattering them back to their places.

    Args:
        order: present order of the images, as their rows of the draws.
        kind: index of each image's change, by row of the draws.
        kinds: number of changes.
        packed: receives the indices that the device needs.

    Returns:
        The new order; and for each change two handles: of the places of its images in ``order``, and of their rows.
    """
    members = [(kind[order] == index).nonzero().squeeze(1) for index in range(kinds)]
    groups = [(packed.add(group), packed.add(order[group])) for group in members]
    return order[torch.cat(members)], groups


class Packed:
    """Small tensors to upload together: collected on the CPU first, because each upload costs a call."""

    def __init__(self) -> None:
        self._parts: list[Tensor] = []

    def add(self, part: Tensor) -> int:
        """Add a tensor (float32 or int64) and return its handle."""
        self._parts.append(part.contiguous())
        return len(self._parts) - 1

    def upload(self, device: torch.device) -> list[Tensor]:
        """Return all added tensors on ``device``; a handle is the index of its tensor."""
        if device.type == "cpu":
            return self._parts
        # Each tensor begins at a multiple of eight bytes, because int64 needs this alignment.
        flat = [F.pad(part.flatten().view(torch.uint8), (0, -part.nbytes % 8)) for part in self._parts]
        whole = upload(torch.cat(flat), device)
        pieces = whole.split([len(part) for part in flat])
        return [
            piece[: part.nbytes].view(part.dtype).view(part.shape)
            for piece, part in zip(pieces, self._parts, strict=True)
        ]


def grayscale(images: Tensor) -> Tensor:
    """Return the luma of each pixel in all three channels."""
    return _luma(images).expand_as(images)


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiply each image by its factor, like torchvision's function of this name.

    Args:
        images: float N×3×H×W in [0, 1].
        factor: N float.
    """
    return (images * factor.view(-1, 1, 1, 1)).clamp_(0.0, 1.0)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Blend each image with its mean luma, like torchvision's function of this name.

    Args:
        images: float N×3×H×W in [0, 1].
        factor: N float; 1 leaves the image unchanged.
    """
    return _blend(images, _luma(images).mean(dim=(1, 2, 3), keepdim=True), factor)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Blend each image with its greyscale version, like torchvision's function of this name.

    Args:
        images: float N×3×H×W in [0, 1].
        factor: N float; 1 leaves the image unchanged.
    """
    return _blend(images, _luma(images), factor)


def adjust_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Shift the hue in HSV, like torchvision's function of this name.

    Args:
        images: float N×3×H×W in [0, 1].
        shift: N float, in turns, within ±0.5.
    """
    red, green, blue = images.unbind(dim=1)
    value = torch.maximum(torch.maximum(red, green), blue)
    darkest = torch.minimum(torch.minimum(red, green), blue)
    chroma = value - darkest
    # For grey pixels all differences are 0, so the hue is 0 whatever ``inverse`` is.
    inverse = chroma.clamp(min=torch.finfo(chroma.dtype).tiny).reciprocal_()
    # The largest channel decides the sector of the hue circle (hue in sixths of a turn). A lerp by 0 or 1 is an exact
    # choice and much faster than torch.where.
    is_red, is_green = (value == red).float(), (value == green).float()
    hue = torch.lerp(((red - green) * inverse).add_(4.0), ((blue - red) * inverse).add_(2.0), is_green)
    hue = torch.lerp(hue, (green - blue) * inverse, is_red)
    hue = hue.add_(6.0 * shift.view(-1, 1, 1)).remainder_(6.0)
    shares = ((hue - 3.0).abs_().sub_(1.0), 2.0 - (hue - 2.0).abs_(), 2.0 - (hue - 4.0).abs_())
    return torch.stack([torch.addcmul(darkest, chroma, share.clamp_(0.0, 1.0)) for share in shares], dim=1)


def gaussian_blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur by a separable 3×3 Gaussian (the released code's kernel), with reflected edges.

    Args:
        images: float N×3×H×W.
        sigma: N float, in pixels.
    """
    side = torch.exp(-0.5 / sigma.view(-1, 1, 1, 1) ** 2)
    norm = (1.0 + 2.0 * side).reciprocal()
    for dim in (2, 3):
        images = torch.addcmul(images, side, _both_neighbours(images, dim)).mul_(norm)
    return images


def _both_neighbours(images: Tensor, dim: int) -> Tensor:
    """Return the sum of the pixels before and after each pixel along ``dim``; edges are reflected."""
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
