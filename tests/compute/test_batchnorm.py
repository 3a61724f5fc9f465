"""Whose training passes the running statistics of batch norms follow."""

from typing import Literal

import pytest
import torch
from torch import nn

from pipeline.compute.batchnorm import training_pass
from pipeline.config.section import BatchNormMode
from pipeline.errors import ParamsError
from tests.methods import toy

DOMAINS: tuple[Literal["source", "target"], ...] = ("source", "target")


@pytest.mark.parametrize(
    ("mode", "followed"),
    [("shared", {"source", "target"}), ("source", {"source"}), ("target", {"target"}), ("frozen", set())],
)
def test_running_statistics_follow_the_passes_of_the_chosen_domains(mode: BatchNormMode, followed: set[str]) -> None:
    norm = nn.Sequential(nn.BatchNorm1d(2)).train()
    batches = {"source": torch.randn(16, 2) + 3.0, "target": torch.randn(16, 2) - 5.0}
    expected = torch.zeros(2)
    for domain in DOMAINS:
        with training_pass(norm, mode, domain):
            found = norm(batches[domain])
        mean = batches[domain].mean(dim=0)
        # Frozen, the running statistics (0 and 1) normalise; else the batch's own do, followed or not.
        torch.testing.assert_close(
            found.mean(dim=0), mean if mode == "frozen" else torch.zeros(2), atol=1e-4, rtol=1e-4
        )
        expected = expected.lerp(mean, 0.1) if domain in followed else expected
    torch.testing.assert_close(norm.get_buffer("0.running_mean"), expected)
    assert norm.get_submodule("0").momentum == 0.1
    assert norm.get_submodule("0").training


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dann", "mcd", "pocan"])
def test_frozen_batch_norms_stay_the_source_models(name: str) -> None:
    task = toy.method(name, batch_norm="frozen", epochs=1, steps_per_epoch=2)
    statistics = [task.source_model.get_buffer(f"network.head.layers.1.running_{kind}") for kind in ("mean", "var")]
    before = [value.clone() for value in statistics]
    weight = task.source_model.get_parameter("network.head.layers.0.weight").clone()
    for batch in task.begin_epoch(0).batches:
        task.step(batch, 0.0)
    assert all(torch.equal(now, then) for now, then in zip(statistics, before, strict=True))
    assert not torch.equal(task.source_model.get_parameter("network.head.layers.0.weight"), weight)


def test_one_pass_with_both_domains_cannot_follow_one() -> None:
    with pytest.raises((ParamsError, ValueError), match="batch_norm source needs domain_passes: separate"):
        toy.method("dann", batch_norm="source")
