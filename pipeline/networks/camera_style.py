"""The style of a target's camera, in which the source's pictures can be shown.

Another camera has other grey levels, is less sharp and has more noise. The target has no labels to learn this from, but
the source has. So the source's pictures are shown as the target's camera would show them, as in image translation for
domain adaptation (Yang and Soatto, CVPR 2020, exchange low frequencies of single pictures). Here all pictures share one
style of three parts: a Gaussian blur, a tone curve and white noise. It is fitted to grey levels and to the mean power
spectrum, without labels. Class shares hardly change it, because a face of any expression has about the same ones.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.compute.device import upload
from pipeline.data.augment import grayscale, to_float
from pipeline.data.batches import DeviceCrops, generator_for
from pipeline.networks.grey_levels import LEVELS, GreyLevels, ToneCurve

LOWEST = 4
"""Lowest frequency that blur and noise are fitted to, in cycles per picture. Lower ones depend on pose and shadows."""

BLURS, NOISES = torch.arange(0.0, 4.05, 0.1), torch.arange(0.0, 16.25, 0.5) / (LEVELS - 1)
"""The values that are tried."""

NEGLIGIBLE = 1e-6
"""Smaller weights of a blur are set to 0."""

ROUNDS = 3
"""How often tone curve, blur and noise are fitted."""

AT_ONCE = 256
"""Pictures that are converted at once, to limit memory."""


class CameraStyle(nn.Module):
    """A Gaussian blur, then a tone curve, then white noise, equal in all channels.

    Args:
        curve: the new value of each grey level from 0 to 255, 256 float in [0, 1].
        blur: standard deviation of the blur, in pixels; 0: none.
        noise: standard deviation of the noise, as a share of the range of grey levels; 0: none.
    """

    curve: Tensor
    blur: Tensor
    noise: Tensor

    def __init__(self, curve: Tensor, blur: float, noise: float) -> None:
        super().__init__()
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
            noise: white noise of variance 1, N×1×S×S.

        Returns:
            uint8 N×3×S×S.
        """
        blur = blur_matrix(images.shape[-1], self.blur)
        levels = (blur @ images.float() @ blur.T).round_().int().flatten()
        shown = self.curve.index_select(0, levels).view(images.shape)
        shown += self.noise * noise
        return shown.clamp_(0.0, 1.0).mul_(LEVELS - 1).round_().to(torch.uint8)


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
        self._style, self._size = style.to(device), images.shape[1]

    @torch.no_grad()
    def batch(self, rows: Tensor) -> Tensor:
        noise = torch.empty(len(rows), 1, self._size, self._size)
        for place, row in enumerate(rows.tolist()):
            noise[place].normal_(generator=generator_for(0, "camera noise", row))
        shown: Tensor = self._style(super().batch(rows), upload(noise, self.device))
        return shown


def fit(source: NDArray[np.uint8], target: NDArray[np.uint8]) -> CameraStyle:
    """Fit the style in which the source's pictures look like the target's.

    Grey levels of blurred pictures determine the tone curve, and power spectra behind the tone curve determine blur and
    noise, so they are fitted in turn.

    Args:
        source: uint8 n×S×S×3.
        target: uint8 m×S×S×3.
    """
    mine, theirs = _grey(source), _grey(target)
    levels, wanted = _levels(theirs), power_spectrum(theirs)
    blur, noise = torch.zeros(()), torch.zeros(())
    for _ in range(ROUNDS):
        matrix = blur_matrix(mine.shape[-1], blur)
        curve = levels.curve_from(_levels(matrix @ mine @ matrix.T))
        tone = ToneCurve(curve)
        toned = torch.cat([tone(part) for part in mine.split(AT_ONCE)])
        blur, noise = _fit_blur_and_noise(power_spectrum(toned), wanted)
    return CameraStyle(curve, float(blur), float(noise))


def _fit_blur_and_noise(spectrum: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Fit P(f)·exp(−(2π·f·blur)²) + noise² to a target's power spectrum, by least squares of the logarithms.

    The noise is at most the lowest power that the target has. So a target that is merely sharper gets no noise, and no
    blur either, because neither can be undone.
    """
    before, after = spectrum[LOWEST:], wanted[LOWEST:]
    frequencies = torch.arange(LOWEST, len(spectrum)) / (2 * (len(spectrum) - 1))
    passed = before * torch.exp(-((2.0 * math.pi * frequencies * BLURS[:, None]) ** 2))
    noises = NOISES[NOISES.square() <= after.min()]
    fitted = passed[:, None] + noises[:, None] ** 2
    errors = (fitted.log() - after.log()).square().sum(dim=2)
    blur, noise = divmod(int(errors.argmin()), len(noises))
    return BLURS[blur], noises[noise]


def power_spectrum(grey: Tensor) -> Tensor:
    """Return the mean power spectrum of pictures: white noise of variance v adds v to each value.

    Args:
        grey: float n×1×S×S.

    Returns:
        By the distance from frequency 0, from 0 to S/2 cycles per picture, float S//2 + 1.
    """
    size = grey.shape[-1]
    window = torch.hann_window(size, periodic=False)
    window = window[:, None] * window
    total = torch.zeros(size, size)
    for part in grey[:, 0].split(AT_ONCE):
        centred = (part - part.mean(dim=(1, 2), keepdim=True)) * window
        total += torch.fft.fft2(centred).abs().square().sum(dim=0)
    cycles = torch.fft.fftfreq(size, 1.0 / size)
    ring = torch.hypot(cycles[:, None], cycles).round().long().clamp(max=size // 2).flatten()
    rings = torch.zeros(size // 2 + 1).index_add(0, ring, total.flatten()) / torch.bincount(ring)
    return rings / (len(grey) * window.square().sum())


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
