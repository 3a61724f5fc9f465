"""What holds for every method of the registry, on a toy problem (``tests/methods/toy.py``)."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.config.methods import METHODS
from pipeline.methods import Method
from pipeline.training import loop
from pipeline.training.checkpoints import Checkpoint
from tests.methods.toy import TEAM, accuracy, method

TRAINED = [name for name, params in METHODS.items() if params.adapts]

CHANGES: dict[str, dict[str, Any]] = {
    "pocan": {"lr": 0.01, "prototype_lr": 0.05, "epochs": 6},
}
"""Rates and lengths of training for the toy problem, where the published ones are for an encoder that is trained."""

BETTER = 10.0
"""Points by which a method must beat DT, which is right in a quarter of the pictures."""


class KilledError(Exception):
    """Stands for a process that ends after an epoch."""


def fit(task: Method, path: Path, until: int | None = None) -> list[dict[str, float]]:
    """Train to the end, or until an epoch's checkpoint is on disk."""

    def log(_: Any, epoch: int) -> None:
        if epoch == until:
            raise KilledError

    curve = loop.fit(task, Checkpoint(path, {"of": task.name}), log, TEAM)
    task.predict_target()
    return curve


def tensors(state: Any) -> list[Tensor]:
    if isinstance(state, Tensor):
        return [state]
    values = state.values() if isinstance(state, dict) else state if isinstance(state, list | tuple) else ()
    return [tensor for value in values for tensor in tensors(value)]


@pytest.mark.parametrize("name", TRAINED)
def test_a_method_beats_direct_transfer_and_goes_on_after_an_interruption_bit_for_bit(
    name: str, tmp_path: Path
) -> None:
    task = method(name, **CHANGES.get(name, {}))
    before = accuracy(task)
    curve = fit(task, tmp_path / "whole.pt")
    assert len(task.predictions) == task.epochs + 1
    assert before < 30.0
    assert accuracy(task) > before + BETTER, curve

    interrupted = method(name, **CHANGES.get(name, {}))
    with pytest.raises(KilledError):
        fit(interrupted, tmp_path / "cut.pt", until=1)
    resumed = method(name, **CHANGES.get(name, {}))
    assert fit(resumed, tmp_path / "cut.pt") == curve
    expected, found = tensors(task.state()), tensors(resumed.state())
    assert len(expected) == len(found) > 10
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
