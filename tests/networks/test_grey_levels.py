"""Grey levels, and the tone curve that maps those of one set to those of another."""

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.networks.grey_levels import LEVELS, GreyLevels, ToneCurve


def pictures(seed: int = 0) -> Tensor:
    """Four colour pictures with every grey level from about 20 to 235."""
    ramp = torch.linspace(20, 235, 64 * 64).reshape(1, 1, 64, 64)
    colours = torch.randint(-15, 16, (4, 3, 64, 64), generator=torch.Generator().manual_seed(seed))
    return ((ramp + colours).round() / 255).float()


def test_the_levels_are_those_of_the_luma_over_all_batches() -> None:
    images = pictures()
    found = GreyLevels.of([images[:1], images[1:]])
    luma = np.tensordot(images.numpy().astype(np.float64), [0.2989, 0.587, 0.114], axes=([1], [0]))
    counts, _ = np.histogram(np.rint(luma * 255), bins=np.arange(LEVELS + 1) - 0.5)
    np.testing.assert_allclose(found.shares.numpy(), counts / counts.sum(), atol=1e-4)  # ties of rounding
    assert float(found.shares.sum()) == pytest.approx(1.0)


def test_a_camera_that_changes_tones_is_undone() -> None:
    images = pictures()
    seen = images**1.5 * 0.6 + 0.2
    curve = ToneCurve(GreyLevels.of([images]).curve_from(GreyLevels.of([seen])))
    assert bool((curve.curve.diff() >= 0).all())
    shown = curve(seen)
    grey, before = ((1.0 * one).mean(dim=1) for one in (shown, images))
    assert float((grey - before).abs().mean()) < 0.02
    assert float((seen.mean(dim=1) - before).abs().mean()) > 0.05
    again = GreyLevels.of([shown]).shares.cumsum(0)
    assert float((again - GreyLevels.of([images]).shares.cumsum(0)).abs().max()) < 0.03


def test_equal_levels_stay_as_they_are() -> None:
    levels = GreyLevels.of([pictures()])
    occurring = levels.shares > 0
    identity = torch.linspace(0.0, 1.0, LEVELS)
    torch.testing.assert_close(levels.curve_from(levels)[occurring], identity[occurring])


def test_a_curve_is_linear_between_levels_and_at_first_changes_nothing() -> None:
    images = pictures()
    torch.testing.assert_close(ToneCurve()(images), images)
    curve = torch.linspace(0.0, 1.0, LEVELS) ** 2
    between = torch.full((1, 3, 2, 2), 100.25 / 255)
    expected = torch.full_like(between, float(curve[100].lerp(curve[101], 0.25)))
    torch.testing.assert_close(ToneCurve(curve)(between), expected)
    torch.testing.assert_close(ToneCurve(curve)(torch.ones(1, 3, 2, 2)), torch.ones(1, 3, 2, 2))
