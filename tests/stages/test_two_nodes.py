"""Both training stages on two machines that share a folder, which torchrun starts: two processes stand for them."""

from pathlib import Path

import pytest

from pipeline.files.io import read_csv, read_json
from tests.compute.test_team import two_nodes
from tests.stages.test_interrupted_stage import EPOCHS, finish, make_project, runs_of, start

pytestmark = pytest.mark.slow


def test_stages_1_and_2_train_on_two_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DVC_STAGE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    project = make_project(tmp_path / "project")
    two_nodes(["-m", "stages.pretrain"], project)
    finish(start(project, "stages.prototypes"))
    two_nodes(["-m", "stages.adapt", "jaffe"], project)
    for stage, model, curve in (("pretrain", "pretrained", "pretrain"), ("adapt", "adapted/jaffe", "adapt-jaffe")):
        (run,) = runs_of(project, stage)  # the first machine alone logs and writes
        assert run.info.status == "FINISHED"
        assert run.data.tags["pocan.processes"] == "2"
        assert len(read_csv(project / f"reports/curves/{curve}.csv")) == EPOCHS
        assert read_json(project / "models" / model / "model.json")["stage"] == stage
