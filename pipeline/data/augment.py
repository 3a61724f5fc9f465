"""Training views and the evaluation view, a whole batch at a time on its own device (docs/method.md).

Every image of a batch draws its own parameters, always from a CPU generator, so that the same seed gives the same
draws on every device. The draws are made before and apart from the views, so that processes that share a batch can all
make the same draws and each compute its own part. Images are float N×3×S×S, RGB in [0, 1].

The sides, not the areas, of the random crops are drawn: that is what the released code does, and it is what goes with
the evaluation's central crop of 0.85 of the side.
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
_LUMA = (0.2989, 0.587, 0.114)  # the grey of torchvision's and PIL's conversions

# The columns of a draw.
_SIDE, _LEFT, _TOP, _MIRROR, _JITTERED, _GREY, _BLURRED, _SIGMA = range(8)
_FACTORS, _ORDER, _COLUMNS = slice(8, 12), slice(12, 16), 16


def to_float(images: Tensor) -> Tensor:
    """From uint8 N×3×S×S to float in [0, 1]."""
    return images.float().div_(255.0)


def draw(count: int, generator: torch.Generator) -> Tensor:
    """All that views leave to chance.

    Returns:
        Float count×16 of U(0, 1) on the CPU, a row a view.
    """
    return torch.rand(count, _COLUMNS, generator=generator)


def training_view(images: Tensor, draws: Tensor, params: AugmentParams) -> Tensor:
    """One random view of every image: crop and flip, colour jitter, greyscale, blur.

    Args:
        images: float N×3×S×S in [0, 1].
        draws: a row of ``draw`` for each image; on the CPU.
        params: ranges and probabilities.

    Returns:
        The views, of the images' shape and range, on their device.
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
    """The central crop, resized back.

    Args:
        images: float N×3×S×S in [0, 1].
        side: the crop's side, as a share of the image's.
    """
    count = len(images)
    centre = torch.full((count,), 0.5)
    placement = _placement(torch.full((count,), side), centre, centre, torch.zeros(count, dtype=torch.bool))
    return _resampled(images, upload(placement, images.device))


def _random_placement(draws: Tensor, crop: tuple[float, float], flip: float) -> Tensor:
    side = crop[0] + (crop[1] - crop[0]) * draws[:, _SIDE]
    return _placement(side, draws[:, _LEFT], draws[:, _TOP], draws[:, _MIRROR] < flip)


def _placement(side: Tensor, left: Tensor, top: Tensor, mirror: Tensor) -> Tensor:
    """Where crops lie, for ``_resampled``.

    Args:
        side: N, the crop's side as a share of the image's.
        left: N, as a share of the free space (0: at the left edge, 1: at the right edge).
        top: N, likewise.
        mirror: N bool.

    Returns:
        Scale and shift in x, then in y: 4×N.
    """
    free = 1.0 - side
    width = torch.where(mirror, -side, side)
    return torch.stack([width, free * (2.0 * left - 1.0), side, free * (2.0 * top - 1.0)])


def _resampled(images: Tensor, placement: Tensor) -> Tensor:
    """Crop and flip; ``placement`` is 4×N of ``_placement``, on the images' device."""
    scale_x, shift_x, scale_y, shift_y = placement[:, :, None]
    size = images.shape[-1]
    centres = (2.0 * torch.arange(size, device=images.device) + 1.0) / size - 1.0
    x, y = scale_x * centres + shift_x, scale_y * centres + shift_y
    shape = (len(images), size, size)
    grid = torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], dim=3)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


Change = Callable[[Tensor, Tensor], Tensor]
"""What is done to n images; it is also given their columns of ``_amounts`` (5×n, on the images' device)."""

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
    """Factors of brightness, contrast and saturation, shift of hue, sigma of blur: 5×N."""
    strength = torch.tensor([BRIGHTNESS, CONTRAST, SATURATION, HUE])
    factors = (2.0 * draws[:, _FACTORS] - 1.0) * strength + torch.tensor([1.0, 1.0, 1.0, 0.0])
    low, high = BLUR_SIGMA
    return torch.cat([factors.T, (low + (high - low) * draws[:, _SIGMA])[None]])


def _schedule(draws: Tensor, params: AugmentParams) -> Iterator[tuple[Tensor, tuple[Change | None, ...]]]:
    """The steps from crop to view, one after the other.

    Brightness, contrast, saturation and hue come in a random order of each image's own.

    Yields:
        Which of the step's changes every image gets (N int64, in the order of the draws), and these changes.
    """
    jittered, order = draws[:, _JITTERED] < params.jitter, draws[:, _ORDER].argsort(dim=1)
    for position in range(4):
        yield torch.where(jittered, order[:, position], 4), _JITTER
    yield (draws[:, _GREY] < params.grayscale).long(), _GREYSCALE
    yield (draws[:, _BLURRED] < params.blur).long(), _BLUR


def _divided(order: Tensor, kind: Tensor, kinds: int, packed: "Packed") -> tuple[Tensor, list[tuple[int, int]]]:
    """Bring images that get the same change together.

    They are left in that order: putting images together is much faster than putting them back in their places.

    Args:
        order: the images' present order: their rows of the draws.
        kind: which change each gets, by row of the draws.
        kinds: how many changes there are.
        packed: takes what the device needs.

    Returns:
        The order in which the images are then; for each change the handles of its images' places in ``order`` and of
        their rows.
    """
    members = [(kind[order] == index).nonzero().squeeze(1) for index in range(kinds)]
    groups = [(packed.add(group), packed.add(order[group])) for group in members]
    return order[torch.cat(members)], groups


class Packed:
    """Small tensors on their way to a device: collected on the CPU and uploaded at once, for each copy costs a call."""

    def __init__(self) -> None:
        self._parts: list[Tensor] = []

    def add(self, part: Tensor) -> int:
        """Take a tensor along (float32 or int64); returns its handle."""
        self._parts.append(part.contiguous())
        return len(self._parts) - 1

    def upload(self, device: torch.device) -> list[Tensor]:
        """All that was added, by handle, on ``device``."""
        if device.type == "cpu":
            return self._parts
        # Each begins at a multiple of eight bytes, as its type may need.
        flat = [F.pad(part.flatten().view(torch.uint8), (0, -part.nbytes % 8)) for part in self._parts]
        whole = upload(torch.cat(flat), device)
        pieces = whole.split([len(part) for part in flat])
        return [
            piece[: part.nbytes].view(part.dtype).view(part.shape)
            for piece, part in zip(pieces, self._parts, strict=True)
        ]


def grayscale(images: Tensor) -> Tensor:
    """The luma of each pixel in all three channels."""
    return _luma(images).expand_as(images)


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiply by one factor an image, as torchvision's function of this name.

    Args:
        images: float N×3×H×W in [0, 1].
        factor: N float.
    """
    return (images * factor.view(-1, 1, 1, 1)).clamp_(0.0, 1.0)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Move away from the image's mean luma, as torchvision's function of this name.

    Args:
        images: float N×3×H×W in [0, 1].
        factor: N float.
    """
    return _blend(images, _luma(images).mean(dim=(1, 2, 3), keepdim=True), factor)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Move away from the image's grey, as torchvision's function of this name.

    Args:
        images: float N×3×H×W in [0, 1].
        factor: N float.
    """
    return _blend(images, _luma(images), factor)


def adjust_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue through HSV, as torchvision's function of this name.

    Args:
        images: float N×3×H×W in [0, 1].
        shift: N float, in turns, within ±0.5.
    """
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
    """Separable 3×3 Gaussian blur (the released code's kernel), edges reflected.

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
