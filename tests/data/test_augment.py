"""The batched views against torchvision's per-image functions, and their random draws against what was asked for."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as reference

from pipeline.config.learning import AugmentParams
from pipeline.data import augment

ALWAYS = AugmentParams(crop=(0.8, 0.95), jitter=1.0, grayscale=0.2, blur=0.5, flip=0.5, eval_crop=0.85)
NEVER = AugmentParams(crop=(1.0, 1.0), jitter=0.0, grayscale=0.0, blur=0.0, flip=0.0, eval_crop=1.0)


def draw(count: int, seed: int) -> torch.Tensor:
    return augment.draw(count, torch.Generator().manual_seed(seed))


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
    view = augment.training_view(images, draw(12, 0), NEVER)
    torch.testing.assert_close(view, images, atol=1e-4, rtol=0)


def test_same_seed_same_view_and_each_image_its_own(images: torch.Tensor) -> None:
    first = augment.training_view(images, draw(12, 3), ALWAYS)
    again = augment.training_view(images, draw(12, 3), ALWAYS)
    other = augment.training_view(images, draw(12, 4), ALWAYS)
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    copies = augment.training_view(images[2:3].expand(12, -1, -1, -1), draw(12, 5), ALWAYS)
    assert len({tuple(copy.flatten()[:50].tolist()) for copy in copies}) == 12
    assert first.min() >= 0.0
    assert first.max() <= 1.0


def test_shares_of_flips_and_greys_are_the_probabilities() -> None:
    ramp = torch.linspace(0, 1, 112).expand(2000, 3, 16, 112)[..., ::7].clone()
    params = NEVER.model_copy(update={"flip": 0.5})
    view = augment.training_view(ramp, draw(2000, 0), params)
    flipped = (view[:, 0, 8, 0] > view[:, 0, 8, -1]).float().mean().item()
    assert flipped == pytest.approx(0.5, abs=0.05)
    colour = torch.tensor([0.9, 0.1, 0.4]).view(1, 3, 1, 1).expand(2000, 3, 16, 16)
    view = augment.training_view(colour, draw(2000, 0), NEVER.model_copy(update={"grayscale": 0.2}))
    grey = ((view[:, 0] - view[:, 1]).abs().amax(dim=(1, 2)) < 1e-6).float().mean().item()
    assert grey == pytest.approx(0.2, abs=0.04)


def test_crop_keeps_the_share_of_the_side() -> None:
    # A picture whose red is its column: the crop's width is the difference of its outer columns.
    column = torch.linspace(0, 1, 112).expand(500, 3, 112, 112).clone()
    view = augment.training_view(column, draw(500, 0), NEVER.model_copy(update={"crop": (0.8, 0.95)}))
    side = view[:, 0, 56, -1] - view[:, 0, 56, 0]
    assert side.min() > 0.78
    assert side.max() < 0.96
    assert side.mean().item() == pytest.approx(0.875, abs=0.01)


def test_views_change_neither_the_pictures_nor_what_another_part_of_the_batch_gets(images: torch.Tensor) -> None:
    before, draws = images.clone(), draw(12, 0)
    whole = augment.training_view(images, draws, ALWAYS)
    parts = [augment.training_view(images[part], draws[part], ALWAYS) for part in (slice(0, 5), slice(5, 12))]
    assert torch.equal(images, before)
    torch.testing.assert_close(torch.cat(parts), whole, atol=1e-6, rtol=0)


class SquareCrop(torch.nn.Module):
    """torchvision's resized crop with the released code's draw: the side, not the area, uniform in a range."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self._low, self._high = low, high

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        size = image.shape[-1]
        side = self._low + (self._high - self._low) * torch.rand(()).item()
        left, top = ((1.0 - side) * size * torch.rand(2)).tolist()
        cropped: torch.Tensor = reference.affine(
            image,
            angle=0.0,
            translate=[0, 0],
            scale=1.0 / side,
            shear=[0.0, 0.0],
            # The point that stays where it is when the crop grows to the picture's size.
            center=[left / (1.0 - side), top / (1.0 - side)],
            interpolation=v2.InterpolationMode.BILINEAR,
        )
        return cropped


def describe(views: torch.Tensor) -> dict[str, torch.Tensor]:
    """Numbers that each random choice shows in: N floats by name."""
    luma = augment.grayscale(views)[:, 0]
    inner = luma[:, 2:-2, 2:-2]
    laplacian = 4 * inner - luma[:, 1:-3, 2:-2] - luma[:, 3:-1, 2:-2] - luma[:, 2:-2, 1:-3] - luma[:, 2:-2, 3:-1]
    half = views.shape[-1] // 2
    return {
        "brightness": luma.mean(dim=(1, 2)),
        "contrast": luma.flatten(1).std(dim=1),
        "saturation": (views.amax(dim=1) - views.amin(dim=1)).mean(dim=(1, 2)),
        "red against blue": (views[:, 0] - views[:, 2]).mean(dim=(1, 2)),
        "green": (views[:, 1] - views.mean(dim=1)).mean(dim=(1, 2)),
        "sharpness": laplacian.abs().mean(dim=(1, 2)),
        "left against right": luma[:, :, :half].mean(dim=(1, 2)) - luma[:, :, half:].mean(dim=(1, 2)),
        "top against bottom": luma[:, :half].mean(dim=(1, 2)) - luma[:, half:].mean(dim=(1, 2)),
        "corner": luma[:, :8, :8].mean(dim=(1, 2)),
    }


@pytest.mark.slow
def test_views_have_the_distribution_of_torchvisions_transforms_of_single_images() -> None:
    """Kolmogorov-Smirnov tests of what each random choice shows in, 1,500 views of one picture by either way."""
    picture = reference.to_dtype(torch.from_numpy(portrait()).permute(2, 0, 1), torch.float32, scale=True)
    params = AugmentParams(crop=(0.8, 0.95), jitter=0.8, grayscale=0.2, blur=0.5, flip=0.5, eval_crop=0.85)
    count = 1500
    single = v2.Compose(
        [
            SquareCrop(0.8, 0.95),
            v2.RandomHorizontalFlip(0.5),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], 0.8),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([v2.GaussianBlur(3, (0.1, 2.0))], 0.5),
        ]
    )
    torch.manual_seed(1)
    expected = describe(torch.stack([single(picture) for _ in range(count)]))
    found = describe(augment.training_view(picture.expand(count, -1, -1, -1), draw(count, 2), params))
    for name in expected:
        result = stats.ks_2samp(expected[name].numpy(), found[name].numpy())
        # 9 tests: below this, one in a hundred runs with other seeds would fail by chance.
        assert result.pvalue > 0.001, f"{name}: {result}"


def test_all_that_views_leave_to_chance_goes_to_the_device_in_one_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    copies: list[torch.Tensor] = []

    def copied(tensor: torch.Tensor, _: torch.device) -> torch.Tensor:
        copies.append(tensor)
        return tensor.clone()

    monkeypatch.setattr(augment, "upload", copied)
    parts = [torch.arange(5), torch.rand(3, 7), torch.empty(0, dtype=torch.int64), torch.rand(3), torch.arange(3)]
    packed = augment.Packed()
    handles = [packed.add(part) for part in parts]
    sent = packed.upload(torch.device("cuda"))
    assert len(copies) == 1
    for handle, part in zip(handles, parts, strict=True):
        assert sent[handle].dtype == part.dtype
        assert torch.equal(sent[handle], part)


def portrait() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A photograph, 48×48 RGB, with colour, edges and no symmetry."""
    with Image.open(Path(__file__).parents[1] / "data/chelsea.png") as image:
        return np.array(image.convert("RGB").resize((48, 48)))
