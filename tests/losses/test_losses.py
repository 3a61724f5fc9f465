"""Each loss against an independent reference: pytorch-metric-learning, or the equation worked by hand."""

import math

import pytest
import torch
from pytorch_metric_learning.losses import NTXentLoss, SupConLoss
from torch import Tensor
from torch.nn import functional as F

from pipeline.losses.classification import weighted_cross_entropy
from pipeline.losses.contrastive import nt_xent, supervised_contrastive
from pipeline.losses.domain import domain_confusion, domain_discrimination, lambda_t

K = 7


def unit(rows: int, dim: int = 16, seed: int = 0) -> Tensor:
    return F.normalize(torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed)).double())


@pytest.mark.parametrize("tau", [0.07, 0.1, 0.5, 0.7, 2.0])
def test_nt_xent_is_the_reference(tau: float) -> None:
    z = unit(24)
    pair = torch.arange(12).repeat(2)
    torch.testing.assert_close(nt_xent(z, tau), NTXentLoss(temperature=tau)(z, pair))


@pytest.mark.parametrize("tau", [0.07, 0.1, 0.5])
def test_supervised_contrastive_is_the_reference(tau: float) -> None:
    z = unit(32, seed=1)
    labels = torch.randint(0, K, (16,), generator=torch.Generator().manual_seed(2)).repeat(2)
    torch.testing.assert_close(supervised_contrastive(z, labels, tau), SupConLoss(temperature=tau)(z, labels))


def test_supervised_contrastive_leaves_out_anchors_without_positives() -> None:
    z = unit(5, seed=3)
    labels = torch.tensor([0, 0, 1, 1, 2])  # the last one is alone
    expected = SupConLoss(temperature=0.1)(z, labels)
    torch.testing.assert_close(supervised_contrastive(z, labels, 0.1), expected)
    lonely = z.clone().requires_grad_()
    loss = supervised_contrastive(lonely, torch.arange(5), 0.1)
    loss.backward()
    assert loss.item() == 0.0
    assert lonely.grad is not None
    assert torch.equal(lonely.grad, torch.zeros_like(lonely))


def test_supervised_contrastive_of_one_class_only_is_finite() -> None:
    z = unit(8, seed=4).requires_grad_()
    loss = supervised_contrastive(z, torch.zeros(8, dtype=torch.int64), 0.1)
    loss.backward()
    similarity = (z @ z.T / 0.1).detach()
    by_hand = 0.0
    for i in range(8):
        others = [j for j in range(8) if j != i]
        log_total = math.log(sum(math.exp(similarity[i, j].item()) for j in others))
        by_hand -= sum(similarity[i, j].item() - log_total for j in others) / 7
    assert loss.item() == pytest.approx(by_hand / 8)
    assert z.grad is not None
    assert bool(z.grad.isfinite().all())


def test_weighted_cross_entropy_by_hand() -> None:
    matrix = torch.zeros(K, 2, dtype=torch.double)
    matrix[0, 0], matrix[1, 1] = 1.0, 2.0
    z = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.double)
    weights = torch.tensor([0.5, 2.0, 1, 1, 1, 1, 1], dtype=torch.double)
    first = -math.log(math.e / (math.e + 6))
    second = -math.log(math.e**2 / (math.e**2 + 6))
    value = weighted_cross_entropy(z, matrix, torch.tensor([0, 1]), weights)
    # The mean is over the two samples; it is not divided by the sum of the weights.
    assert value.item() == pytest.approx((0.5 * first + 2.0 * second) / 2)


def test_weighted_cross_entropy_of_nothing_is_a_zero_with_zero_gradient() -> None:
    matrix = torch.randn(K, 4, requires_grad=True)
    z = torch.empty(0, 4, requires_grad=True)
    loss = weighted_cross_entropy(z, matrix, torch.empty(0, dtype=torch.int64), torch.ones(K))
    loss.backward()
    assert loss.item() == 0.0
    assert matrix.grad is not None
    assert torch.equal(matrix.grad, torch.zeros(K, 4))


@pytest.mark.parametrize(("progress", "expected"), [(0.0, 0.0), (0.1, 0.46211715726), (1.0, 0.99990920426)])
def test_lambda_t(progress: float, expected: float) -> None:
    assert lambda_t(progress) == pytest.approx(expected)


def p_st(z: Tensor, m_s: Tensor, m_t: Tensor) -> Tensor:
    """P_st as the paper writes it: one softmax over the 2k similarities."""
    return torch.softmax(torch.cat([z @ m_s.T, z @ m_t.T], dim=1), dim=1)


def test_adversarial_losses_by_the_printed_equations() -> None:
    z_s, z_t, m_s, m_t = unit(6, seed=5), unit(9, seed=6), 3 * unit(K, seed=7), 2 * unit(K, seed=8)
    source, target = p_st(z_s, m_s, m_t), p_st(z_t, m_s, m_t)
    l_dis = -source[:, :K].sum(1).log().mean() - target[:, K:].sum(1).log().mean()
    l_st = -target[:, :K].sum(1).log().mean() - source[:, K:].sum(1).log().mean()
    torch.testing.assert_close(domain_discrimination(z_s, z_t, m_s, m_t), l_dis)
    torch.testing.assert_close(domain_confusion(z_s, z_t, m_s, m_t), l_st)


def test_adversarial_losses_of_equal_prototypes_are_two_log_two() -> None:
    z_s, z_t, m = unit(4, seed=9), unit(4, seed=10), unit(K, seed=11)
    assert domain_discrimination(z_s, z_t, m, m).item() == pytest.approx(2 * math.log(2))
    assert domain_confusion(z_s, z_t, m, m).item() == pytest.approx(2 * math.log(2))


def test_adversarial_losses_stay_finite_where_a_softmax_underflows() -> None:
    z = torch.tensor([[1.0, 0.0]])
    m_s, m_t = torch.zeros(K, 2), torch.zeros(K, 2)
    m_s[:, 0], m_t[:, 0] = 500.0, -500.0
    assert p_st(z, m_s, m_t)[:, K:].sum() == 0.0  # its log would be −inf
    assert domain_confusion(z, z, m_s, m_t).item() == pytest.approx(1000.0)


@pytest.mark.parametrize("name", ["nt_xent", "supcon", "cross_entropy", "l_dis", "l_st"])
def test_gradients_against_finite_differences(name: str) -> None:
    z = unit(8, 5, seed=12).requires_grad_()
    labels = torch.tensor([0, 1, 2, 0, 0, 1, 2, 0])
    m_s, m_t = unit(K, 5, seed=13).requires_grad_(), unit(K, 5, seed=14).requires_grad_()
    weights = torch.linspace(0.5, 1.0, K).double()
    functions = {
        "nt_xent": lambda z, m_s, m_t: nt_xent(z, 0.5),
        "supcon": lambda z, m_s, m_t: supervised_contrastive(z, labels, 0.5),
        "cross_entropy": lambda z, m_s, m_t: weighted_cross_entropy(z, m_s, labels, weights),
        "l_dis": lambda z, m_s, m_t: domain_discrimination(z[:3], z[3:], m_s, m_t),
        "l_st": lambda z, m_s, m_t: domain_confusion(z[:3], z[3:], m_s, m_t),
    }
    assert torch.autograd.gradcheck(functions[name], (z, m_s, m_t))
