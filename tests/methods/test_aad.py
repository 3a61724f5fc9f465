"""Attracting and dispersing against the algorithm by loops."""

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch.nn import functional as F

from pipeline.methods.aad import Aad
from pipeline.methods.parts.two_domains import Domains
from tests.methods.toy import LABELS, method

pytestmark = pytest.mark.slow  # the toy source model is trained first


def unit(count: int, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(count, 32, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("neighbours", [3, 5])
def test_the_terms_are_those_of_the_nearest_in_the_bank_and_of_the_batch(neighbours: int) -> None:
    task = method("aad", neighbours=neighbours, dispersion=0.7, decay=2.0)
    assert isinstance(task, Aad)
    task.begin_epoch(0)
    bank, predicted = task._bank.numpy().copy(), task._predicted.numpy().copy()
    index = torch.tensor([3, 90, 17, 4, 66])
    z = unit(5, 0)
    found = task.losses(Domains(z, LABELS[:5], z, index, z, 0.4))

    p = softmax((z @ task.prototypes.matrix.detach().T).numpy(), axis=1)
    bank[index], predicted[index] = z.numpy(), p  # the batch is in the bank before neighbours are looked for
    attraction, dispersion = 0.0, 0.0
    for row, place in enumerate(index.tolist()):
        order = np.argsort(-(bank @ z[row].numpy()))
        nearest = [other for other in order if other != place][:neighbours]
        attraction -= sum(float(p[row] @ predicted[other]) for other in nearest)
        dispersion += sum(float(p[row] @ p[other]) for other in range(5) if other != row)
    assert found["attraction"].item() == pytest.approx(attraction / 5, rel=1e-4)
    assert found["dispersion"].item() == pytest.approx(0.7 * (1 + 10 * 0.4) ** -2.0 * dispersion / 5, rel=1e-4)
    np.testing.assert_allclose(task._bank.numpy(), bank)
    np.testing.assert_allclose(task._predicted.numpy(), predicted, rtol=1e-5, atol=1e-7)


def test_neighbours_pull_and_are_not_pulled() -> None:
    task = method("aad", dispersion=0.0)
    assert isinstance(task, Aad)
    task.begin_epoch(0)
    z = unit(4, 1).requires_grad_()
    task.losses(Domains(z, LABELS[:4], z, torch.arange(4), z, 0.0))["attraction"].backward()
    assert z.grad is not None
    assert bool((z.grad != 0).any())
    assert not task._bank.requires_grad
    assert not task._predicted.requires_grad


def test_a_bank_of_fewer_pictures_than_neighbours_gives_all_others() -> None:
    task = method("aad", neighbours=500)
    assert isinstance(task, Aad)
    task.begin_epoch(0)
    z = unit(4, 1)
    near = task._neighbours(Domains(z, LABELS[:4], z, torch.arange(4), z, 0.0), torch.full((4, 7), 1 / 7))
    assert near.shape == (4, 139, 7)
