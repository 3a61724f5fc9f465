"""The style of a target's camera, in which the source's pictures can be shown.

Another camera has other grey levels, is less sharp, has fewer pixels and more noise. The target has no labels to learn
this from, but the source has. So the source's pictures are shown as the target's camera would show them, as in image
translation for domain adaptation (Yang and Soatto, CVPR 2020, exchange low frequencies of single pictures). Here all
pictures share one style of four parts: a Gaussian blur, a tone curve, fewer pixels that were enlarged, and white noise.
It is fitted to grey levels and to the mean power spectrum, without labels. Class shares hardly change it, because a
face of any expression has about the same ones.
"""

import math
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from pipeline.compute.device import upload
from pipeline.data.augment import grayscale, to_float
from pipeline.data.batches import DeviceCrops, generator_for
from pipeline.networks.grey_levels import LEVELS, GreyLevels, ToneCurve

LOWEST = 4
"""Lowest frequency that blur and noise are fitted to, in cycles per picture. Lower ones depend on pose and shadows."""

BLURS, NOISES = torch.arange(0.0, 4.05, 0.1), torch.arange(0.0, 16.25, 0.5) / (LEVELS - 1)
"""The values that are tried."""

MOST_ENLARGED, STEP = 9.0, 1.04
"""The largest factor of an enlargement that is tried, and the ratio of two that follow each other."""

FEW = 64
"""Number of pictures, about, with which enlargements are compared: two enlargements differ more than two faces do."""

CLEARLY = 0.5
"""An enlargement is taken if the error of the fit is smaller by this factor than without one."""

ROUNDING = 1 / 12 / (LEVELS - 1) ** 2
"""Variance of the noise of rounding to grey levels."""

NEGLIGIBLE = 1e-6
"""Smaller weights of a blur are set to 0."""

ROUNDS = 3
"""How often tone curve, blur and noise are fitted."""

AT_ONCE = 256
"""Pictures that are converted at once, to limit memory."""


Interpolation = Literal["bilinear", "bicubic"]


@dataclass(frozen=True)
class Enlargement:
    """Few pixels, which were enlarged to a crop.

    Attributes:
        pixels: side of the camera's picture.
        by: how it was enlarged.
    """

    pixels: int
    by: Interpolation

    def shrinking(self, size: int) -> Tensor:
        """Return the matrix whose rows are means over the area of a pixel, pixels×size; D·x·Dᵀ shrinks x."""
        edges = torch.arange(self.pixels + 1) * size / self.pixels
        places = torch.arange(size)
        covered = torch.minimum(edges[1:, None], places + 1.0) - torch.maximum(edges[:-1, None], places)
        return covered.clamp_(min=0.0) * self.pixels / size

    def enlarging(self, size: int) -> Tensor:
        """Return the matrix of the interpolation, size×pixels; U·x·Uᵀ enlarges x."""
        unit = torch.eye(self.pixels)[None, None]
        return interpolate(unit, size=(size, self.pixels), mode=self.by, align_corners=False)[0, 0]

    def matrix(self, size: int) -> Tensor:
        """Return the matrix of both, size×size."""
        return self.enlarging(size) @ self.shrinking(size)


class CameraStyle(nn.Module):
    """A Gaussian blur, then a tone curve, then white noise, equal in all channels; the noise may be in fewer pixels.

    Args:
        curve: the new value of each grey level from 0 to 255, 256 float in [0, 1].
        blur: standard deviation of the blur, in pixels; 0: none.
        noise: standard deviation of the noise, as a share of the range of grey levels; 0: none.
        enlargement: after the tone curve pictures are shrunk, and enlarged after the noise; None: they are not.
    """

    curve: Tensor
    blur: Tensor
    noise: Tensor

    def __init__(self, curve: Tensor, blur: float, noise: float, enlargement: Enlargement | None = None) -> None:
        super().__init__()
        self.enlargement = enlargement
        self.register_buffer("curve", curve)
        self.register_buffer("blur", torch.tensor(blur))
        self.register_buffer("noise", torch.tensor(noise))

    @property
    def pixels(self) -> float:
        """The blur, in pixels."""
        return float(self.blur)

    @property
    def grey_levels(self) -> float:
        """The noise, in grey levels of 255."""
        return float(self.noise) * (LEVELS - 1)

    def forward(self, images: Tensor, noise: Tensor) -> Tensor:
        """Show pictures in this style.

        Args:
            images: uint8 N×3×S×S.
            noise: white noise of variance 1, N×1×R×R; R: ``side(S)``.

        Returns:
            uint8 N×3×S×S.
        """
        size = images.shape[-1]
        blur = blur_matrix(size, self.blur)
        levels = (blur @ images.float() @ blur.T).round_().int().flatten()
        shown = self.curve.index_select(0, levels).view(images.shape)
        if self.enlargement is not None:
            shrinking = self.enlargement.shrinking(size).to(shown)
            shown = shrinking @ shown @ shrinking.T
        shown += self.noise * noise
        shown.clamp_(0.0, 1.0)
        if self.enlargement is not None:
            enlarging = self.enlargement.enlarging(size).to(shown)
            shown = (enlarging @ shown @ enlarging.T).clamp_(0.0, 1.0)
        return shown.mul_(LEVELS - 1).round_().to(torch.uint8)

    def side(self, size: int) -> int:
        """Return the side of the camera's pictures, in pixels, for crops of side ``size``."""
        return size if self.enlargement is None else self.enlargement.pixels


class StyledCrops(DeviceCrops):
    """Crops in the style of another camera.

    The noise of a picture depends on its row only, so neither batches nor devices change it.

    Args:
        images: uint8 N×112×112×3, usually a memory map.
        device: device of the tensors.
        style: the style.
    """

    def __init__(self, images: NDArray[np.uint8], device: torch.device, style: CameraStyle) -> None:
        super().__init__(images, device)
        self._style, self._side = style.to(device), style.side(images.shape[1])

    @torch.no_grad()
    def batch(self, rows: Tensor) -> Tensor:
        noise = torch.empty(len(rows), 1, self._side, self._side)
        for place, row in enumerate(rows.tolist()):
            noise[place].normal_(generator=generator_for(0, "camera noise", row))
        shown: Tensor = self._style(super().batch(rows), upload(noise, self.device))
        return shown


def fit(source: NDArray[np.uint8], target: NDArray[np.uint8]) -> CameraStyle:
    """Fit the style in which the source's pictures look like the target's.

    Spectra of enlarged pictures differ so much that the enlargement is fitted first. Grey levels of blurred pictures
    determine the tone curve, and power spectra behind the tone curve determine blur and noise, so they are fitted in
    turn.

    Args:
        source: uint8 n×S×S×3.
        target: uint8 m×S×S×3.
    """
    mine, theirs = _grey(source), _grey(target)
    levels, wanted = _levels(theirs), power_spectrum(theirs)
    enlargement = _fit_enlargement(mine[:: max(1, len(mine) // FEW)], levels, wanted)  # stores are ordered by class
    whole = torch.eye(mine.shape[-1]) if enlargement is None else enlargement.matrix(mine.shape[-1])
    blur, noise = torch.zeros(()), torch.zeros(())
    for _ in range(ROUNDS):
        matrix = whole @ blur_matrix(mine.shape[-1], blur)
        curve = levels.curve_from(_levels(matrix @ mine @ matrix.T))
        spectrum = power_spectrum(_toned(mine, curve), enlargement)
        _, blur, noise = _fit_blur_and_noise(spectrum, wanted, enlargement)
    return CameraStyle(curve, float(blur), float(noise), enlargement)


def _fit_enlargement(mine: Tensor, levels: GreyLevels, wanted: Tensor) -> Enlargement | None:
    """Return the enlargement with which the fit of blur and noise is best; None if the fit without one is as good.

    Args:
        mine: the source's pictures, float n×1×S×S.
        levels: the target's grey levels.
        wanted: the target's power spectrum.
    """
    size, toned = mine.shape[-1], _toned(mine, levels.curve_from(_levels(mine)))
    steps = range(1, 1 + int(math.log(MOST_ENLARGED, STEP)))
    sides = sorted({round(size / STEP**step) for step in steps} - {size}, reverse=True)
    own = power_spectrum(toned)
    best, found = CLEARLY * _fit_blur_and_noise(own, wanted)[0], None
    for tried in (Enlargement(*each) for each in product(sides, get_args(Interpolation))):
        beyond = slice(tried.pixels // 2 + 1, None)  # what the camera's picture does not have
        if wanted[beyond].log().mean() >= own[beyond].log().mean():
            continue
        error = _fit_blur_and_noise(power_spectrum(toned, tried), wanted, tried)[0]
        if error < best:
            best, found = error, tried
    return found


def _toned(grey: Tensor, curve: Tensor) -> Tensor:
    tone = ToneCurve(curve)
    return torch.cat([tone(part) for part in grey.split(AT_ONCE)])


def _fit_blur_and_noise(
    spectrum: Tensor, wanted: Tensor, enlargement: Enlargement | None = None
) -> tuple[float, Tensor, Tensor]:
    """Fit P(f)·exp(−(2π·f·blur)²) + noise²·N(f) to a target's power spectrum, by least squares of the logarithms.

    Both sides also have the noise of rounding to grey levels, which nothing blurs.

    The noise is at most the lowest power that the target has. So a target that is merely sharper gets no noise, and no
    blur either, because neither can be undone.

    Args:
        spectrum: P, with the enlargement.
        wanted: the target's power spectrum.
        enlargement: that of the noise; N is its spectrum then, and 1 without one.

    Returns:
        The error, blur and noise.
    """
    before, after = spectrum[LOWEST:], wanted[LOWEST:]
    size = 2 * (len(spectrum) - 1)
    of_noise = torch.ones(()) if enlargement is None else noise_spectrum(enlargement.enlarging(size))[LOWEST:]
    frequencies = torch.arange(LOWEST, len(spectrum)) / size
    passed = (before - ROUNDING).clamp(min=0.0) * torch.exp(-((2.0 * math.pi * frequencies * BLURS[:, None]) ** 2))
    noises = NOISES[NOISES.square() <= (after / of_noise).min()]
    fitted = passed[:, None] + noises[:, None] ** 2 * of_noise + ROUNDING
    errors = (fitted.log() - after.log()).square().sum(dim=2)
    blur, noise = divmod(int(errors.argmin()), len(noises))
    return float(errors.min()), BLURS[blur], noises[noise]


def noise_spectrum(enlarging: Tensor) -> Tensor:
    """Return what ``power_spectrum`` is expected to return for enlarged white noise of variance 1.

    Args:
        enlarging: the matrix of the interpolation, S×R.
    """
    window = torch.hann_window(len(enlarging), periodic=False)
    along = torch.fft.fft(window[:, None] * enlarging, dim=0).abs().square().sum(dim=1) / window.square().sum()
    return _ring_means(along[:, None] * along)


def power_spectrum(grey: Tensor, enlargement: Enlargement | None = None) -> Tensor:
    """Return the mean power spectrum of pictures: white noise of variance v adds v to each value.

    Args:
        grey: float n×1×S×S.
        enlargement: they are shrunk and enlarged first; None: they are not.

    Returns:
        By the distance from frequency 0, from 0 to S/2 cycles per picture, float S//2 + 1.
    """
    size = grey.shape[-1]
    window = torch.hann_window(size, periodic=False)
    window = window[:, None] * window
    total, matrix = torch.zeros(size, size), None if enlargement is None else enlargement.matrix(size)
    for part in grey[:, 0].split(AT_ONCE):
        if matrix is not None:
            part = matrix @ part @ matrix.T
        centred = (part - part.mean(dim=(1, 2), keepdim=True)) * window
        total += torch.fft.fft2(centred).abs().square().sum(dim=0)
    return _ring_means(total) / (len(grey) * window.square().sum())


def _ring_means(power: Tensor) -> Tensor:
    """Return the mean of a two-dimensional spectrum, S×S, by the distance from frequency 0, S//2 + 1."""
    size = len(power)
    cycles = torch.fft.fftfreq(size, 1.0 / size)
    ring = torch.hypot(cycles[:, None], cycles).round().long().clamp(max=size // 2).flatten()
    return torch.zeros(size // 2 + 1).index_add(0, ring, power.flatten()) / torch.bincount(ring)


def blur_matrix(size: int, sigma: Tensor) -> Tensor:
    """Return the matrix B of a Gaussian blur in one direction, with pictures mirrored at the edges: B·x·Bᵀ blurs x.

    On CPUs this is 16 times as fast as convolution.

    Args:
        size: S, side of the pictures.
        sigma: standard deviation in pixels; 0: no blur.

    Returns:
        Float S×S, on the device of ``sigma``; rows sum to 1.
    """
    if not sigma:
        return torch.eye(size, device=sigma.device)
    places = torch.arange(size, device=sigma.device)
    # A pixel beyond an edge is the one as far inside it: at −p, or at 2·(S − 1) − p.
    mirrored = torch.stack([places, -places, 2 * (size - 1) - places])
    weights = torch.exp(-0.5 * ((mirrored[:, None, :] - places[:, None]) / sigma) ** 2)
    weights[1, :, 0] = weights[2, :, -1] = 0.0  # the edges themselves are not mirrored
    weights[weights < NEGLIGIBLE] = 0.0  # products with numbers near 0 would take twenty times as long
    blur = weights.sum(dim=0)
    return blur / blur.sum(dim=1, keepdim=True)


def _grey(images: NDArray[np.uint8]) -> Tensor:
    """Convert uint8 n×S×S×3 to luma, float n×1×S×S in [0, 1]."""
    starts = range(0, len(images), AT_ONCE)
    parts = [torch.from_numpy(np.array(images[start : start + AT_ONCE])).permute(0, 3, 1, 2) for start in starts]
    return torch.cat([grayscale(to_float(part))[:, :1] for part in parts])


def _levels(grey: Tensor) -> GreyLevels:
    return GreyLevels.of(part.expand(-1, 3, -1, -1) for part in grey.split(AT_ONCE))
