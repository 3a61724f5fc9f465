"""Maximum mean discrepancies against sums over all pairs."""

import math

import pytest
import torch
from torch import Tensor

from pipeline.losses.domain import conditional_mmd, gaussian_kernels, mmd

WIDTHS = (0.5, 2.0)
X = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
Y = torch.randn(4, 3, generator=torch.Generator().manual_seed(1)) + 1.0


def kernel(a: Tensor, b: Tensor, scale: float) -> float:
    distance = float((a - b).square().sum())
    return sum(math.exp(-distance / (width * scale)) for width in WIDTHS) / len(WIDTHS)


def by_pairs(x: Tensor, y: Tensor, u: list[float], v: list[float], scale: float) -> float:
    total = sum(p * q * kernel(a, b, scale) for p, a in zip(u, x, strict=True) for q, b in zip(u, x, strict=True))
    total += sum(p * q * kernel(a, b, scale) for p, a in zip(v, y, strict=True) for q, b in zip(v, y, strict=True))
    cross = sum(p * q * kernel(a, b, scale) for p, a in zip(u, x, strict=True) for q, b in zip(v, y, strict=True))
    return total - 2 * cross


def mean_distance() -> float:
    joint = torch.cat([X, Y])
    pairs = [float((a - b).square().sum()) for i, a in enumerate(joint) for j, b in enumerate(joint) if i != j]
    return sum(pairs) / len(pairs)


def test_mmd_is_the_sum_over_pairs() -> None:
    found = mmd(gaussian_kernels(X, Y, WIDTHS))
    assert found.item() == pytest.approx(by_pairs(X, Y, [0.2] * 5, [0.25] * 4, mean_distance()), abs=1e-6)


def test_a_weighted_mmd_is_the_weighted_sum() -> None:
    u, v = [0.1, 0.2, 0.0, 0.4, 0.3], [0.7, 0.1, 0.1, 0.1]
    found = mmd(gaussian_kernels(X, Y, WIDTHS), torch.tensor(u), torch.tensor(v))
    assert found.item() == pytest.approx(by_pairs(X, Y, u, v, mean_distance()), abs=1e-6)


def test_mmd_is_nothing_for_the_same_sample_and_its_gradient_brings_two_together() -> None:
    assert mmd(gaussian_kernels(X, X, WIDTHS)).item() == pytest.approx(0.0, abs=1e-6)
    moved = X.clone().requires_grad_()
    mmd(gaussian_kernels(moved, Y, WIDTHS)).backward()
    assert moved.grad is not None
    assert float((moved.grad.mean(dim=0) * (Y.mean(dim=0) - X.mean(dim=0))).sum()) < 0


def test_conditional_mmd_is_the_mean_over_the_classes_of_both() -> None:
    of_x, of_y = torch.tensor([0, 0, 1, 2, 1]), torch.tensor([0, 1, 1, 5])
    one_hot = torch.nn.functional.one_hot
    found = conditional_mmd(gaussian_kernels(X, Y, WIDTHS), one_hot(of_x, 7).float(), one_hot(of_y, 7).float())
    each = []
    for label in (0, 1):
        x, y = X[of_x == label], Y[of_y == label]
        each.append(by_pairs(x, y, [1 / len(x)] * len(x), [1 / len(y)] * len(y), mean_distance()))
    assert found.item() == pytest.approx(sum(each) / 2, abs=1e-6)


def test_without_a_common_class_conditional_mmd_is_nothing() -> None:
    kernels = gaussian_kernels(X.clone().requires_grad_(), Y, WIDTHS)
    of_x, of_y = torch.zeros(5, 7), torch.zeros(4, 7)
    of_x[:, 0], of_y[:, 1] = 1.0, 1.0
    found = conditional_mmd(kernels, of_x, of_y)
    assert found.item() == 0.0
    found.backward()
