"""A stage 1 that collapses, and one that cannot: a batch norm before the projections' L2 norm."""

from pathlib import Path
from typing import Literal

import pytest
import torch

from pipeline.backbones import BACKBONES
from pipeline.config.learning import ModelParams, PretrainParams
from pipeline.networks.network import Network
from pipeline.source_model.pretraining import Pretraining
from pipeline.training import loop
from pipeline.training.checkpoints import Checkpoint
from tests.methods.toy import COUNT, CPU, LABELS, ROWS, SMALL, TEAM, VIEWS, pictures

PARAMS = PretrainParams(
    epochs=3, warmup_epochs=1, batch_size=35, lr=0.1, momentum=0.9, weight_decay=1e-4, tau=0.1, objective="supcon"
)
UNRELATED = LABELS[torch.randperm(COUNT, generator=torch.Generator().manual_seed(0))]
"""Labels that have to be learnt by heart: so the loss falls slowly, and one point is soon better than disorder."""


class KilledError(Exception):
    """Stands for a process that ends after an epoch."""


def stage_1(norm: Literal["none", "batch"]) -> Pretraining:
    loop.prepare(0, CPU)
    BACKBONES.add(SMALL)
    params = ModelParams(
        backbone="small", weights="none", projection_hidden=64, projection_dim=32, projection_norm=norm
    )
    network = Network(params)
    BACKBONES.remove(SMALL.name)
    return Pretraining(network, pictures(1, shifted=False), ROWS, UNRELATED, PARAMS, VIEWS, 0, TEAM)


def spreads(task: Pretraining, path: Path, until: int | None = None) -> list[float]:
    """The spread of the projections by epoch; ended after the checkpoint of epoch ``until``."""

    def log(_: object, epoch: int) -> None:
        if epoch == until:
            raise KilledError

    return [row["spread"] for row in loop.fit(task, Checkpoint(path, {}), log, TEAM)]


def test_the_norm_keeps_the_projections_of_a_training_apart_that_collapses_without(tmp_path: Path) -> None:
    assert spreads(stage_1("none"), tmp_path / "none.pt")[-1] < 0.1
    assert min(spreads(stage_1("batch"), tmp_path / "batch.pt")) > 0.9


def test_a_training_with_the_norm_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole = stage_1("batch")
    spreads(whole, tmp_path / "whole.pt")
    with pytest.raises(KilledError):
        spreads(stage_1("batch"), tmp_path / "c.pt", until=2)
    resumed = stage_1("batch")
    spreads(resumed, tmp_path / "c.pt")
    expected = whole.network.state_dict()
    assert "head.layers.4.running_var" in expected
    assert all(torch.equal(value, expected[key]) for key, value in resumed.network.state_dict().items())
