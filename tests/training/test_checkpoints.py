"""A checkpoint that was cut short is told of, and its training begins anew."""

from pathlib import Path

import pytest
import torch

from pipeline.training.checkpoints import Checkpoint


@pytest.mark.parametrize("zeroed", [False, True])
def test_a_checkpoint_cut_at_any_length_begins_anew(
    tmp_path: Path, zeroed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = Checkpoint(tmp_path / "a.pt", {"seed": 0})
    checkpoint.save({"curve": [{"epoch": 1}], "task": {"weight": torch.arange(100.0)}})
    whole = checkpoint.path.read_bytes()
    for length in range(0, len(whole) - 100, len(whole) // 40):
        checkpoint.path.write_bytes(whole[:length] + bytes(len(whole) - length) * zeroed)
        checkpoint.make_current()
        assert checkpoint.load() is None
        assert "a.pt cannot be read" in capsys.readouterr().err
    checkpoint.path.write_bytes(whole)
    checkpoint.make_current()
    assert checkpoint.load() is not None
