"""The style of a target's camera, and the source's features in it."""

import math

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.networks.camera_style import (
    CameraStyle,
    Enlargement,
    Interpolation,
    StyledCrops,
    blur_matrix,
    fit,
    noise_spectrum,
    power_spectrum,
)
from pipeline.trials.camera import Camera
from tests.methods import toy

PLAIN = torch.linspace(0.0, 1.0, 256)


def pictures(seed: int, count: int = 60) -> NDArray[np.uint8]:
    """Coloured noise whose amplitudes fall with the frequency, as a face's do: uint8 count×64×64×3."""
    chance = np.random.default_rng(seed)
    cycles = np.fft.fftfreq(64) * 64
    falls = np.maximum(np.hypot(cycles[:, None], cycles), 1.0) ** -2.0
    waves = np.fft.ifft2(np.fft.fft2(chance.standard_normal((count, 64, 64))) * falls).real
    grey = 120 + 60 * waves / waves.std(axis=(1, 2), keepdims=True)
    colours = grey[..., None] + chance.normal(0, 10, (count, 1, 1, 3))
    return np.asarray(np.clip(colours.round(), 0, 255), np.uint8)


def seen(camera: Camera, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.stack([camera.show(one, np.random.default_rng(row)) for row, one in enumerate(images)])


def still(blur: float, noise: float, pixels: int | None = None) -> Camera:
    """A camera that shows all pictures from the front."""
    front = Camera(rotation=(0, 0), zoom=(1, 1), blur=blur / 64, gamma=1.3, contrast=0.7, lift=30, noise=noise)
    return front.model_copy(update={"resolution": pixels})


@pytest.mark.parametrize(("blur", "noise"), [(0.0, 6.0), (1.0, 0.0), (1.5, 4.0), (2.5, 8.0)])
def test_blur_and_noise_of_a_camera_are_found_from_other_pictures(blur: float, noise: float) -> None:
    style = fit(pictures(0), seen(still(blur, noise), pictures(1)))
    assert float(style.blur) == pytest.approx(blur, abs=0.35)
    assert 255 * float(style.noise) == pytest.approx(noise, abs=1.1)
    assert style.enlargement is None


def enlarged(images: NDArray[np.uint8], pixels: int, by: int) -> NDArray[np.uint8]:
    """Pictures of fewer pixels, enlarged by OpenCV."""
    size = images.shape[1:3]
    few = [cv2.resize(one, (pixels, pixels), interpolation=cv2.INTER_AREA) for one in images]
    return np.stack([cv2.resize(one, size, interpolation=by) for one in few])


def test_every_part_of_a_store_counts_which_is_ordered_by_class() -> None:
    bright = (pictures(1, 400) // 4 + 150).astype(np.uint8)
    source, target = np.concatenate([pictures(0, 400), bright]), np.concatenate([pictures(2), bright[:60]])
    assert fit(source, target).enlargement is None
    assert fit(source, enlarged(target, 20, cv2.INTER_LINEAR)).enlargement == Enlargement(20, "bilinear")


INTERPOLATIONS = [("bilinear", cv2.INTER_LINEAR), ("bicubic", cv2.INTER_CUBIC)]


@pytest.mark.parametrize("pixels", [12, 20, 32])
@pytest.mark.parametrize(("by", "opencvs"), INTERPOLATIONS)
def test_few_pixels_of_a_camera_are_found_from_other_pictures(by: Interpolation, opencvs: int, pixels: int) -> None:
    assert fit(pictures(0), enlarged(pictures(1), pixels, opencvs)).enlargement == Enlargement(pixels, by)


@pytest.mark.parametrize(("by", "opencvs"), INTERPOLATIONS)
def test_shrinking_and_enlarging_are_opencvs(by: Interpolation, opencvs: int) -> None:
    image = np.random.default_rng(0).random((48, 48)).astype(np.float32)
    shrinking, enlarging = Enlargement(13, by).shrinking(48).numpy(), Enlargement(13, by).enlarging(48).numpy()
    few = cv2.resize(image, (13, 13), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(shrinking @ image @ shrinking.T, few, atol=1e-5)
    again = cv2.resize(few, (48, 48), interpolation=opencvs)
    np.testing.assert_allclose(enlarging @ few @ enlarging.T, again, atol=1e-5)


@pytest.mark.parametrize("by", ["bilinear", "bicubic"])
def test_the_spectrum_of_enlarged_noise_is_what_is_measured(by: Interpolation) -> None:
    enlarging = Enlargement(11, by).enlarging(32)
    noise = torch.randn(4000, 1, 11, 11, generator=torch.Generator().manual_seed(0))
    measured = power_spectrum(enlarging @ noise @ enlarging.T)[2:]
    torch.testing.assert_close(noise_spectrum(enlarging)[2:], measured, rtol=0.1, atol=1e-4)


@pytest.mark.parametrize("pixels", [None, 20])
def test_pictures_in_the_style_have_the_grey_levels_and_the_spectrum_of_the_target(pixels: int | None) -> None:
    source, target = pictures(0), seen(still(1.5, 5.0, pixels), pictures(1))
    shown = StyledCrops(source, toy.CPU, fit(source, target)).batch(torch.arange(60))
    assert shown.dtype == torch.uint8
    assert float(shown.float().mean()) == pytest.approx(float(target.mean()), abs=3)
    assert float(shown.float().std()) == pytest.approx(float(target.std()), rel=0.1)

    def spectrum(images: Tensor) -> Tensor:
        return power_spectrum(images.float().mean(dim=1, keepdim=True) / 255)[4:]

    ratio = spectrum(shown) / spectrum(torch.from_numpy(target).permute(0, 3, 1, 2))
    assert float(ratio.log().abs().max()) < math.log(1.4)


def test_the_style_of_the_same_camera_changes_nothing() -> None:
    source = pictures(0)
    style = fit(source, pictures(1))
    assert float(style.blur) <= 0.1
    assert 255 * float(style.noise) <= 0.6
    assert style.enlargement is None


def test_a_sharper_target_gets_no_blur_and_hardly_any_noise() -> None:
    style = fit(seen(still(2.0, 0.0), pictures(0)), pictures(1))
    assert float(style.blur) == 0
    assert 255 * float(style.noise) <= 1.1
    assert style.enlargement is None


def test_a_blur_is_opencvs_gaussian() -> None:
    image = np.random.default_rng(0).random((48, 48)).astype(np.float32)
    blur = blur_matrix(48, torch.tensor(1.7)).numpy()
    expected = cv2.GaussianBlur(image, (21, 21), 1.7, borderType=cv2.BORDER_REFLECT_101)
    np.testing.assert_allclose(blur @ image @ blur.T, expected, atol=1e-5)


def test_white_noise_has_its_variance_at_every_frequency() -> None:
    noise = 0.1 * torch.randn(400, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(power_spectrum(noise)[2:], torch.full((15,), 0.01), rtol=0.1, atol=0)


def test_a_picture_is_the_same_in_every_batch_and_noise_differs_by_picture() -> None:
    grey = np.full((8, 64, 64, 3), 128, np.uint8)
    crops = StyledCrops(grey, toy.CPU, CameraStyle(PLAIN, 1.2, 0.03))
    together = crops.batch(torch.tensor([5, 2, 7]))
    assert torch.equal(together[1:2], crops.batch(torch.tensor([2])))
    assert not torch.equal(together[0], together[1])
    assert torch.equal(together[:, 0], together[:, 1])  # grey stays grey
    assert float(together[:, 0].float().std()) == pytest.approx(0.03 * 255, rel=0.1)


def test_pictures_without_any_structure_have_a_style() -> None:
    black, source = np.zeros((3, 64, 64, 3), np.uint8), pictures(0)
    for one, other in ((source, black), (black, source), (black, black)):
        style = fit(one, other)
        assert style.pixels == 0
        assert style.grey_levels <= 1.1
        assert StyledCrops(one, toy.CPU, style).batch(torch.arange(3)).shape == (3, 3, 64, 64)
