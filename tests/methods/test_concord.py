"""Concord's trusted pictures and its terms against their definitions written out."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from sklearn.metrics import log_loss

from pipeline.methods.concord import TINY, Concord, trusted
from pipeline.methods.parts.directions import centroids
from pipeline.methods.parts.shift import ClassAware, class_aware
from pipeline.networks.network import unit_rows
from pipeline.networks.statistics import ClassStatistics
from tests.methods.toy import method

NEAREST = torch.tensor([0, 0, 0, 0, 0, 2, 2, 5])


def predicted() -> torch.Tensor:
    """Probabilities of 8 pictures: all but the fourth of class 0 and the second of class 2 are predicted as NEAREST."""
    logits = torch.nn.functional.one_hot(NEAREST, 7) * torch.tensor([3.0, 1.0, 2.0, 0.0, 4.0, 1.0, 0.0, 0.5])[:, None]
    logits[3, 1] = 5.0
    logits[6, 4] = 1.0
    return logits.softmax(dim=1)


@pytest.mark.parametrize(
    ("agreement", "share", "expected"),
    [
        (True, 0.4, [0, 4, 5, 7]),  # two of five, one of two, at least one of one
        (True, 1.0, [0, 1, 2, 4, 5, 7]),  # all that agree
        (False, 1.0, [0, 1, 2, 3, 4, 5, 6, 7]),
        (False, 0.2, [4, 5, 7]),
    ],
)
def test_the_surest_pictures_of_each_class_are_trusted(agreement: bool, share: float, expected: list[int]) -> None:
    assert trusted(NEAREST, predicted(), agreement, share).nonzero().squeeze(1).tolist() == expected


def test_a_class_on_which_nothing_agrees_teaches_nothing() -> None:
    nearest, probabilities = torch.tensor([1, 1]), torch.eye(7)[[0, 3]]
    assert not trusted(nearest, probabilities, True, 0.5).any()
    assert trusted(nearest, probabilities, False, 0.5).sum() == 1


def concord(**changes: Any) -> Concord:
    task = method("concord", **changes)
    assert isinstance(task, Concord)
    return task


@pytest.mark.slow
def test_the_terms_are_of_the_decision_that_predicts() -> None:
    task = concord(logit_adjustment=0.7, class_weights="none", pseudo=2.0, information=0.3, trusted_share=0.5)
    batch = next(task.begin_epoch(0).batches)
    with torch.no_grad():
        z, probabilities = task.predict_whole_target()
        means, found = centroids(z, probabilities, 2)
        embedded = task.embedded(batch, 0.0)
        terms = {name: term.item() for name, term in task.losses(embedded).items()}
    labels = (z @ means.T).masked_fill(~found, -torch.inf).argmax(dim=1)
    counts = trusted(labels, probabilities, True, 0.5)[embedded.target_index].numpy()
    logits = embedded.target @ task.prototypes.matrix.detach().T - task.model.decision.adjustment
    p = logits.double().softmax(dim=1).numpy()
    own = labels[embedded.target_index].numpy()
    assert 0 < counts.sum() < len(counts)
    assert terms["pseudo"] == pytest.approx(2.0 * log_loss(own[counts], p[counts], labels=range(7)), rel=1e-4)
    shares = np.bincount(labels.numpy(), minlength=7) / len(labels) + TINY
    mean = p.mean(axis=0)
    towards = (mean * np.log(mean / shares)).sum()
    assert terms["information"] == pytest.approx(0.3 * (entropy(p, axis=1).mean() + towards), rel=1e-4)


@pytest.mark.slow
def test_it_learns_and_leaves_parts_out_by_name() -> None:
    task = concord(epochs=2)
    before = task.prototypes.matrix.detach().clone()
    for epoch in range(2):
        for step, batch in enumerate(task.begin_epoch(epoch).batches):
            task.step(batch, step / 10)
    assert not torch.equal(before, task.prototypes.matrix)
    assert concord(pseudo=0.0, agreement=False).params.left_out() == ("pseudo-labels", "agreement")


@pytest.mark.slow
def test_pseudo_labels_can_be_made_after_the_shift() -> None:
    task = concord(shift=True)
    task.begin_epoch(0)
    z = task.predict_whole_target()[0]
    moved, probabilities = task._shifted(z)
    source = task._classified(task.source.inputs, task.source.rows)[0]
    statistics = ClassStatistics.of(source, task.source.labels[task.source.rows])
    expected = unit_rows(z - class_aware(z, task.model, statistics, ClassAware()))
    assert torch.allclose(moved, expected, atol=1e-6)
    assert torch.allclose(probabilities, task.model.decision(task.model.prototypes(expected)), atol=1e-5)
    means, found = centroids(expected, probabilities, 2)
    assert torch.equal(task._labels, (expected @ means.T).masked_fill(~found, -torch.inf).argmax(dim=1))
