"""POCAN's cross entropy of pseudo-labels, as printed and as pseudo-labels are made (``pseudo_loss``)."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import Tensor
from torch.nn import functional as F

from pipeline.compute.team import Team
from pipeline.losses.contrastive import nt_xent
from pipeline.methods.pocan import Pocan, Projections
from tests.methods.toy import method
from tests.tasks import pocan

pytestmark = pytest.mark.slow  # the toy source model is trained first

TEAM = Team.single_process("cpu")
LABELS = torch.tensor([1, 4, 1, 4])


def projections(seed: int = 0) -> Projections:
    generator = torch.Generator().manual_seed(seed)
    z_s, z_t = (F.normalize(torch.randn(count, 8, generator=generator)) for count in (12, 10))
    return Projections(z_s, torch.arange(12) % 7, z_t, z_t[[0, 1, 5, 6]], LABELS)


def unlike(task: Pocan) -> Pocan:
    """With prototypes of source and target that differ, and class weights that do."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for prototypes in (task.source_prototypes, task.target_prototypes):
            prototypes.matrix.normal_(generator=generator)
        task._target_weights.uniform_(0.5, 1.5, generator=generator)
    return task


@pytest.mark.parametrize("pseudo_loss", ["printed", "consistent"])
def test_pseudo_labels_count_by_the_chosen_probabilities_in_each_of_the_three_terms(pseudo_loss: str) -> None:
    """Of two classes left out one is never a label; NumPy works out every term."""
    task = unlike(pocan(TEAM, logit_adjustment=0.8, pseudo_loss=pseudo_loss))
    task._decision.restrict((0, 1, 2, 4))
    z = projections()
    shares = np.bincount(np.arange(24) % 7, minlength=7) / 24
    weighted = shares * (1 - shares**2)
    adjustment = 0.8 * np.log(weighted / weighted.sum())

    def expected(matrix: Tensor) -> float:
        logits = z.trusted.numpy() @ matrix.detach().numpy().T
        if pseudo_loss == "consistent":
            logits = logits - adjustment
            logits[:, [3, 5, 6]] = -np.inf
        losses = -log_softmax(logits, axis=1)[np.arange(4), LABELS]
        return float((task._target_weights.numpy()[LABELS] * losses).mean())

    m_s, m_t = task.source_prototypes.matrix, task.target_prototypes.matrix
    found = task.network_losses(z, 0.25)
    contrastive = nt_xent(z.target, task.params.tau).item()
    assert found["l_target"].item() == pytest.approx(contrastive + 0.25 * expected(m_t), rel=1e-5)
    without = unlike(pocan(TEAM, logit_adjustment=0.8)).network_losses(
        Projections(z.source, z.source_labels, z.target, z.trusted[:0], LABELS[:0]), 0.25
    )
    assert (found["l_cross"] - without["l_cross"]).item() == pytest.approx(expected(m_s), rel=1e-5)
    assert task.prototype_losses(z, 0.25)["l_tp"].item() == pytest.approx(expected(m_t), rel=1e-5)


def test_without_adjustment_both_train_to_the_same_bits() -> None:
    ends = []
    for pseudo_loss in ("printed", "consistent"):
        task = method("pocan", pseudo_loss=pseudo_loss, lr=0.01, prototype_lr=0.05, epochs=1, steps_per_epoch=3)
        for index, batch in enumerate(task.begin_epoch(0).batches):
            task.step(batch, 0.5 + index / 10)
        ends.append(task.model.state_dict())
    assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())


def test_with_adjustment_they_do_not() -> None:
    values = [
        unlike(pocan(TEAM, logit_adjustment=1.0, pseudo_loss=pseudo_loss)).network_losses(projections(), 1.0)
        for pseudo_loss in ("printed", "consistent")
    ]
    assert all(not torch.equal(values[0][name], values[1][name]) for name in ("l_target", "l_cross"))
    assert all(torch.equal(values[0][name], values[1][name]) for name in ("l_source", "l_st"))


def test_labels_as_the_decision_gives_them_are_the_fixed_point_of_the_consistent_loss_alone() -> None:
    """Ten pictures of one z, labelled as often as the decision says: 4, 1, 1, 1, 1, 1, 1 of each class.

    The printed loss pulls the class that is rare in the source, and so favoured, further up all the same.
    """
    counts = torch.tensor([4, 1, 1, 1, 1, 1, 1])
    labels = torch.arange(7).repeat_interleave(counts)
    z_t = F.normalize(torch.ones(10, 8))
    z = Projections(z_t, torch.zeros(10, dtype=torch.int64), z_t, z_t, labels)
    gradients = {}
    for pseudo_loss in ("printed", "consistent"):
        task = pocan(TEAM, logit_adjustment=1.0, pseudo_loss=pseudo_loss, use_l_ad=False)
        matrix = task.target_prototypes.matrix
        with torch.no_grad():
            matrix.zero_()  # so that z·Mᵀ is 0 and −A alone decides
        task._decision.adjust(1.0 / counts, 1.0)
        torch.testing.assert_close(task._decision(torch.zeros(1, 7))[0], counts / 10)
        (gradient,) = torch.autograd.grad(task.prototype_losses(z, 1.0)["l_tp"], matrix)
        gradients[pseudo_loss] = gradient @ z_t[0]  # of the logits
    torch.testing.assert_close(gradients["consistent"], torch.zeros(7), rtol=0.0, atol=1e-6)
    torch.testing.assert_close(gradients["printed"], 1 / 7 - counts / 10)
    assert gradients["printed"][0] < -0.2  # further up


def test_a_step_without_trusted_pictures_has_no_such_loss() -> None:
    task = pocan(TEAM, logit_adjustment=1.0, pseudo_loss="consistent")
    z = projections()
    nobody = Projections(z.source, z.source_labels, z.target, z.trusted[:0], LABELS[:0])
    assert task.prototype_losses(nobody, 1.0)["l_tp"].item() == 0.0
