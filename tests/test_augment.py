"""The batched views against torchvision's per-image functions, and their random draws against what was asked for."""

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from pipeline import augment
from pipeline.params import AugmentParams

ALWAYS = AugmentParams(crop=(0.8, 0.95), jitter=1.0, grayscale=0.2, blur=0.5, flip=0.5, eval_crop=0.85)
NEVER = AugmentParams(crop=(1.0, 1.0), jitter=0.0, grayscale=0.0, blur=0.0, flip=0.0, eval_crop=1.0)


@pytest.fixture
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(12, 3, 112, 112, generator=generator)
    images[0] = 0.5  # grey: hue and saturation are undefined
    images[1] = torch.rand(1, 112, 112, generator=generator)
    return images


@pytest.mark.parametrize("name", ["adjust_brightness", "adjust_contrast", "adjust_saturation", "adjust_hue"])
def test_colour_functions_are_torchvisions(images: torch.Tensor, name: str) -> None:
    factors = torch.linspace(-0.5, 0.5, len(images)) if name == "adjust_hue" else torch.linspace(0.0, 2.0, len(images))
    function = getattr(reference, name)
    expected = torch.stack([function(image, factor.item()) for image, factor in zip(images, factors, strict=True)])
    torch.testing.assert_close(getattr(augment, name)(images, factors), expected, atol=1e-5, rtol=0)


def test_grayscale_and_blur_are_torchvisions(images: torch.Tensor) -> None:
    torch.testing.assert_close(augment.grayscale(images), reference.rgb_to_grayscale(images, 3), atol=1e-6, rtol=0)
    sigmas = torch.linspace(0.1, 2.0, len(images))
    expected = torch.stack(
        [reference.gaussian_blur(i, [3, 3], [s.item()]) for i, s in zip(images, sigmas, strict=True)]
    )
    torch.testing.assert_close(augment.gaussian_blur(images, sigmas), expected, atol=1e-5, rtol=0)


def test_evaluation_view_is_a_central_crop(images: torch.Tensor) -> None:
    expected = reference.resize(reference.center_crop(images, [56, 56]), [112, 112], antialias=False)
    view = augment.evaluation_view(images, 0.5)
    # Beyond the crop's edge torchvision repeats the last pixel, the grid sees the picture: compare inside.
    torch.testing.assert_close(view[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], atol=1e-4, rtol=0)
    torch.testing.assert_close(augment.evaluation_view(images, 1.0), images, atol=1e-4, rtol=0)


def test_view_without_any_change_is_the_image(images: torch.Tensor) -> None:
    view = augment.training_view(images, NEVER, torch.Generator())
    torch.testing.assert_close(view, images, atol=1e-4, rtol=0)


def test_same_seed_same_view_and_each_image_its_own(images: torch.Tensor) -> None:
    first = augment.training_view(images, ALWAYS, torch.Generator().manual_seed(3))
    again = augment.training_view(images, ALWAYS, torch.Generator().manual_seed(3))
    other = augment.training_view(images, ALWAYS, torch.Generator().manual_seed(4))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    copies = augment.training_view(images[2:3].expand(12, -1, -1, -1), ALWAYS, torch.Generator().manual_seed(5))
    assert len({tuple(copy.flatten()[:50].tolist()) for copy in copies}) == 12
    assert first.min() >= 0.0
    assert first.max() <= 1.0


def test_shares_of_flips_and_greys_are_the_probabilities() -> None:
    ramp = torch.linspace(0, 1, 112).expand(2000, 3, 16, 112)[..., ::7].clone()
    params = NEVER.model_copy(update={"flip": 0.5})
    view = augment.training_view(ramp, params, torch.Generator().manual_seed(0))
    flipped = (view[:, 0, 8, 0] > view[:, 0, 8, -1]).float().mean().item()
    assert flipped == pytest.approx(0.5, abs=0.05)
    colour = torch.tensor([0.9, 0.1, 0.4]).view(1, 3, 1, 1).expand(2000, 3, 16, 16)
    view = augment.training_view(
        colour.clone(), NEVER.model_copy(update={"grayscale": 0.2}), torch.Generator().manual_seed(0)
    )
    grey = ((view[:, 0] - view[:, 1]).abs().amax(dim=(1, 2)) < 1e-6).float().mean().item()
    assert grey == pytest.approx(0.2, abs=0.04)


def test_crop_keeps_the_share_of_the_side() -> None:
    # A picture whose red is its column: the crop's width is the difference of its outer columns.
    column = torch.linspace(0, 1, 112).expand(500, 3, 112, 112).clone()
    view = augment.random_crop_flip(column, (0.8, 0.95), 0.0, torch.Generator().manual_seed(0))
    side = view[:, 0, 56, -1] - view[:, 0, 56, 0]
    assert side.min() > 0.78
    assert side.max() < 0.96
    assert side.mean().item() == pytest.approx(0.875, abs=0.01)
