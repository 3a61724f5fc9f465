"""Alignment, uniformity and spread of projections, on cases worked by hand."""

import math

import pytest
import torch

from pipeline.losses.contrastive import alignment, spread, uniformity


def test_one_point_is_aligned_not_uniform_and_has_no_spread() -> None:
    z = torch.tensor([[0.6, 0.8]]).repeat(6, 1)
    assert alignment(z).item() == 0.0
    assert uniformity(z).item() == 0.0
    assert spread(z).item() == pytest.approx(0.0, abs=1e-6)


def test_two_images_at_opposite_ends() -> None:
    z = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])  # views 0 and 2, 1 and 3
    assert alignment(z).item() == 0.0
    # Of six pairs two are at distance 0 and four at distance 2.
    assert uniformity(z).item() == pytest.approx(math.log((2 + 4 * math.exp(-8.0)) / 6))
    assert spread(z).item() == 1.0


def test_views_at_a_right_angle_are_two_apart() -> None:
    z = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert alignment(z).item() == pytest.approx(2.0)
    assert spread(z).item() == pytest.approx(0.5)
