"""The estimate of the target's class shares against domains whose shares are known."""

import pytest
import torch
from torch import Tensor

from pipeline.methods.parts.reweighting import estimated_shares

PRIOR = torch.tensor([0.3, 0.1, 0.2, 0.1, 0.1, 0.1, 0.1])


def calibrated(target: Tensor, count: int) -> Tensor:
    """The Bayes posteriors under ``PRIOR`` of a one-dimensional problem whose target has the shares ``target``."""
    generator = torch.Generator().manual_seed(0)
    means = torch.arange(7.0) * 1.5
    labels = torch.multinomial(target, count, replacement=True, generator=generator)
    x = means[labels] + torch.randn(count, generator=generator)
    return torch.softmax(PRIOR.log() - 0.5 * (x[:, None] - means).square(), dim=1)


@pytest.mark.parametrize("target", [[0.05, 0.3, 0.05, 0.3, 0.1, 0.1, 0.1], [0.3, 0.1, 0.2, 0.1, 0.1, 0.1, 0.1]])
def test_shares_are_found_where_the_model_is_calibrated(target: list[float]) -> None:
    expected = torch.tensor(target)
    probabilities = calibrated(expected, 20_000)
    found = estimated_shares(probabilities, PRIOR)
    assert found.sum().item() == pytest.approx(1.0)
    assert (found - expected).abs().max().item() < 0.02
    predicted = torch.bincount(probabilities.argmax(dim=1), minlength=7) / 20_000
    # Counting predictions is no better than this, and worse where the shares differ from the prior.
    assert (found - expected).abs().sum() <= (predicted - expected).abs().sum() + 0.01


def test_a_class_without_prior_keeps_no_share() -> None:
    prior = torch.tensor([0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0])
    found = estimated_shares(torch.full((10, 7), 1 / 7), prior)
    assert found.tolist() == pytest.approx([0.5, 0.5, 0, 0, 0, 0, 0])


def test_the_estimate_is_the_most_likely_one() -> None:
    """EM's fixed point: no small move of two shares makes the predictions likelier."""
    probabilities = calibrated(torch.tensor([0.05, 0.3, 0.05, 0.3, 0.1, 0.1, 0.1]), 2_000)
    found = estimated_shares(probabilities, PRIOR)

    def likelihood(of: Tensor) -> float:
        return (probabilities.double() @ (of.double() / PRIOR.double())).log().mean().item()

    best = likelihood(found)
    for up in range(7):
        for down in range(7):
            moved = found.clone()
            moved[up], moved[down] = moved[up] + 1e-3, moved[down] - 1e-3
            if up != down:
                assert likelihood(moved) < best + 1e-7
