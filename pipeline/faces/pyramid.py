"""The image pyramid: pictures of one size, scaled for P-Net."""

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from pipeline.faces.crop import Image
from pipeline.faces.networks import PNet


def scales(width: int, height: int, min_face: int, scale_factor: float) -> list[float]:
    """Return the scales of a picture's levels.

    Their number is that of the ``mtcnn`` package, which does not depend on ``min_face``. Levels that are too small for
    P-Net are skipped. A picture smaller than about 17 pixels has none.

    Args:
        width: width of the picture, in pixels.
        height: height of the picture, in pixels.
        min_face: side of the smallest face to find, in pixels.
        scale_factor: ratio of neighbouring levels.

    Returns:
        Scales, finest first. The first shows a face of ``min_face`` pixels as 12 pixels.
    """
    levels = round(-(np.log(min(width, height) / PNet.WINDOW) / np.log(scale_factor) + 1.0))
    wanted = [PNet.WINDOW / min_face * scale_factor**level for level in range(levels)]
    return [scale for scale in wanted if int(min(width, height) * scale) >= PNet.SMALLEST]


def normalise(samples: Tensor) -> Tensor:
    """Normalise values from 0 to 255 (float32) as the networks expect, (x − 127.5) / 128, in place."""
    return samples.sub_(127.5).div_(128.0)


class Stack:
    """Pictures of one size on a device.

    Attributes:
        pixels: uint8 N×H×W×3.
    """

    def __init__(self, images: Sequence[Image], device: torch.device) -> None:
        """Copy ``images`` (uint8 H×W×3 each) to the device, as one tensor."""
        self.count, (self.height, self.width) = len(images), images[0].shape[:2]
        self.pixels = torch.from_numpy(np.stack(images)).to(device)

    def levels(self, scales: Sequence[float], chosen: NDArray[np.int64]) -> list[Tensor]:
        """Return pictures at several scales, by averages over exact areas; the sides are ``int(side · scale)``.

        Args:
            scales: the scale of each level.
            chosen: the pictures to scale, n int64.

        Returns:
            For each scale the normalised pictures, float32 n×3×h×w, channels last.
        """
        pixels = self.pixels[torch.from_numpy(chosen).to(self.pixels.device)]
        sizes = [(int(self.height * scale), int(self.width * scale)) for scale in scales]
        levels = [torch.empty(len(chosen), *size, 3, device=pixels.device) for size in sizes]
        by_sums = [self._is_coarse(scale) for scale in scales]
        _average_by_sums(pixels, list(itertools.compress(levels, by_sums)))
        _average_by_opencv(pixels, [level for level, summed in zip(levels, by_sums, strict=True) if not summed])
        return [normalise(level).permute(0, 3, 1, 2) for level in levels]

    def _is_coarse(self, scale: float) -> bool:
        """Return whether sums are faster for a level: on a CPU for coarse levels of large pictures, else always."""
        return self.pixels.device.type != "cpu" or (scale < 0.25 and self.height * self.width >= 1 << 17)

    def patches(self, picture: NDArray[np.int64], boxes: NDArray[np.float64], size: int) -> Tensor:
        """Sample each box bilinearly at size×size places, including its edges; 0 outside the picture.

        Coordinates are TensorFlow's, as in the ``mtcnn`` package: a box edge at x samples the column x · (W − 1) / W.

        Args:
            picture: the picture of each box, n int64, ascending.
            boxes: n×4.
            size: side of a patch, in pixels.

        Returns:
            Normalised patches, float32 n×3×size×size, channels last.
        """
        patches = torch.empty(len(boxes), 3, size, size, device=self.pixels.device)
        last = np.array([self.width, self.height]) - 1
        corners = boxes.reshape(-1, 2, 2) * (last / (last + 1))
        pictures, firsts, counts = np.unique(picture, return_index=True, return_counts=True)
        # Only the part of each picture that its boxes cover is converted to floating point.
        start = np.clip(np.floor(np.minimum.reduceat(corners.min(axis=1), firsts)), 0, last)
        end = np.clip(np.ceil(np.maximum.reduceat(corners.max(axis=1), firsts)), start, last)
        # −1 … 1 goes from the centre of the part's first pixel to that of its last (align_corners).
        origin, sides = (np.repeat(each, counts, axis=0)[:, None] for each in (start, np.maximum(end - start, 1)))
        grid = _grid((corners - origin) / sides * 2.0 - 1.0, size).to(patches.device)
        for index, first, count, (left, top), (right, bottom) in zip(
            pictures, firsts, counts, start.astype(int), end.astype(int), strict=True
        ):
            part = self.pixels[index, top : bottom + 1, left : right + 1].permute(2, 0, 1).float()[None]
            # One tall sampling grid for all patches of a picture, so that the part is not repeated in memory.
            places = grid[first : first + count].view(1, -1, size, 2)
            samples = F.grid_sample(part, places, mode="bilinear", padding_mode="border", align_corners=True)
            patches[first : first + count] = samples.view(3, count, size, size).transpose(0, 1)
        normalise(patches)
        if (corners < 0).any() or (corners > last).any():
            places = _grid(corners / np.maximum(last, 1), size)
            patches *= ((places >= 0.0) & (places <= 1.0)).all(dim=3)[:, None].to(patches.device)
        return patches.contiguous(memory_format=torch.channels_last)


def _average_by_opencv(pixels: Tensor, levels: Sequence[Tensor]) -> None:
    """Fill ``levels`` (float32 N×h×w×3) with averages of ``pixels`` (uint8 N×H×W×3, on the CPU) over exact areas."""
    # Floats, because OpenCV rounds averages of integers. One array is reused: allocating costs more than copying.
    samples = np.empty(pixels.shape[1:], dtype=np.float32)
    for index, picture in enumerate(pixels.numpy() if levels else ()):
        samples[:] = picture
        for level in levels:
            small = level[index].numpy()
            cv2.resize(samples, small.shape[1::-1], dst=small, interpolation=cv2.INTER_AREA)


def _average_by_sums(pixels: Tensor, levels: Sequence[Tensor]) -> None:
    """Do the same on any device, by integral images (sums of all pixels above and to the left of each pixel corner).

    The sum over an area of any size needs only four values, so coarse levels are cheap.
    """
    count, height, width, _ = pixels.shape
    sums = torch.zeros(height + 1, width + 1, 3, dtype=torch.float64, device=pixels.device)
    for index in range(count if levels else 0):
        if pixels.device.type == "cpu":
            cv2.integral(pixels[index].numpy(), sum=sums.numpy(), sdepth=cv2.CV_64F)
        else:
            sums[1:, 1:] = pixels[index].double().cumsum(0).cumsum(1)
        for level in levels:
            areas = _parts(_parts(sums, 0, level.shape[1]), 1, level.shape[2])
            level[index] = areas * (level.shape[1] / height * level.shape[2] / width)


def _parts(sums: Tensor, axis: int, count: int) -> Tensor:
    """Return the sum within each of ``count`` equal parts of an axis, from the cumulative ``sums``."""
    size = sums.shape[axis] - 1
    edges = torch.arange(count + 1, dtype=torch.float64, device=sums.device) * (size / count)
    before = edges.long().clamp_max(size - 1)
    # Within a pixel the picture is constant, so cumulative sums are linear between two places.
    weight = (edges - before).view(-1, *[1] * (sums.ndim - 1 - axis))
    return torch.lerp(sums.index_select(axis, before), sums.index_select(axis, before + 1), weight).diff(dim=axis)


def _grid(corners: NDArray[np.float64], size: int) -> Tensor:
    """Return size×size places (x, y) from the first to the second corner of each box (n×2×2), float32 n×size×size×2."""
    ends = torch.from_numpy(corners.astype(np.float32))
    along = ends[:, 0, None] + (ends[:, 1] - ends[:, 0])[:, None] * torch.linspace(0.0, 1.0, size)[:, None]
    shape = (len(corners), size, size)
    return torch.stack([along[:, None, :, 0].expand(shape), along[:, :, None, 1].expand(shape)], dim=-1)
