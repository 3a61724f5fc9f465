"""FixMatch's terms, views, sampling and decision against their definitions."""

from typing import Any

import pytest
import torch
from sklearn.metrics import log_loss

from pipeline.data import augment
from pipeline.methods import SourceDomain
from pipeline.methods.fixmatch import Fixmatch, consistency
from pipeline.methods.parts.reweighting import estimated_shares
from tests.methods import toy
from tests.methods.toy import LABELS, method

pytestmark = pytest.mark.slow  # the toy source model is trained first


def fixmatch(**changes: Any) -> Fixmatch:
    task = method("fixmatch", **changes)
    assert isinstance(task, Fixmatch)
    return task


def test_the_weak_views_sure_predictions_are_the_strong_views_labels() -> None:
    weak = torch.softmax(torch.randn(6, 7, generator=torch.Generator().manual_seed(0)) * 3, dim=1)
    strong = torch.randn(6, 7, generator=torch.Generator().manual_seed(1))
    confidence, labels = weak.max(dim=1)
    threshold = confidence.sort().values[3].item()
    sure = confidence >= threshold
    assert sure.sum() == 3
    expected = log_loss(labels[sure], strong.double().softmax(1)[sure], labels=range(7)) * 3 / 6  # of six pictures
    assert consistency(strong, weak, threshold).item() == pytest.approx(expected, rel=1e-5)
    assert consistency(strong, weak, 1.0).item() == 0.0


def test_a_weak_view_is_the_strong_ones_crop_and_flip(monkeypatch: pytest.MonkeyPatch) -> None:
    views = toy.VIEWS.model_copy(update={"jitter": 1.0, "grayscale": 0.5, "blur": 1.0, "flip": 0.5})
    monkeypatch.setattr(toy, "VIEWS", views)
    task = fixmatch()
    batch = next(task.begin_epoch(0).batches)
    assert batch.target is not None
    source, target = task.training_views(batch)
    assert len(source) == 28
    strong, weak = target.chunk(2)
    images, draws = augment.to_float(batch.target.stored), batch.target.draws.chunk(2)
    plain = views.model_copy(update={"jitter": 0.0, "grayscale": 0.0, "blur": 0.0})
    assert torch.equal(strong, augment.training_view(images, draws[0], views))
    assert torch.equal(weak, augment.training_view(images, draws[1], plain))
    assert not torch.equal(weak, augment.training_view(images, draws[1], views))


def test_both_domains_are_sampled_with_even_classes_or_as_they_are() -> None:
    for sampling, even in (("balanced", True), ("uniform", False)):
        task = fixmatch(sampling=sampling, epochs=1, steps_per_epoch=5)
        batches = list(task.begin_epoch(0).batches)
        labels = task._pseudo_labels
        occur = len(labels.unique())
        counts = torch.bincount(torch.cat([labels[batch.target_index] for batch in batches]), minlength=7)
        given = counts[labels.unique()]
        assert (int(given.max() - given.min()) <= 1) == even, (sampling, counts)
        assert occur > 1
        of_source = torch.bincount(torch.cat([batch.labels for batch in batches]), minlength=7)
        assert (int(of_source.max() - of_source.min()) <= 1) == (even or of_source.unique().numel() <= 2)


def test_what_predicts_is_weighted_by_the_estimated_shares() -> None:
    task = fixmatch(logit_adjustment=0.4)
    plain = task.probabilities(toy.ROWS)
    task.begin_epoch(0)
    prior = torch.full((7,), 1 / 7)  # the sampled source's, to the power of 0.6 and made to sum to 1
    shares = estimated_shares(plain, prior).clamp(min=0.5 / 140)
    expected = plain * shares / prior
    found = task.probabilities(toy.ROWS)
    torch.testing.assert_close(found, expected / expected.sum(dim=1, keepdim=True), rtol=1e-3, atol=1e-5)
    task.begin_epoch(1)  # from what is predicted without them: nothing feeds back
    torch.testing.assert_close(task.probabilities(toy.ROWS), found, rtol=1e-3, atol=1e-5)


def test_without_the_two_steps_the_decision_stays() -> None:
    task = fixmatch(sampling="uniform", reweighted=False)
    plain = task.probabilities(toy.ROWS)
    assert task.begin_epoch(0).metrics == {}
    assert torch.equal(task.probabilities(toy.ROWS), plain)


def test_balanced_sampling_counts_in_the_logit_adjustment() -> None:
    threes = toy.ROWS[:105][LABELS[:105] == 3]
    rows = torch.cat([toy.ROWS[:105], threes])
    source = SourceDomain(toy.pictures(1, shifted=False), rows, LABELS, toy.ROWS[105:])
    weighted = method("fixmatch", source=source, class_weights="balanced", logit_adjustment=1.0)
    shares = torch.tensor([15.0, 15, 15, 30, 15, 15, 15]) / 120
    weights = 1 / (7 * shares)
    adjustment = (weights / weights.sum()).log()
    torch.testing.assert_close(weighted.model.get_submodule("decision").get_buffer("adjustment"), adjustment)
