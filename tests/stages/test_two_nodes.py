"""Stage 2 on two machines that share a folder, which torchrun starts: two processes stand for them."""

from pathlib import Path

import pytest

from pipeline.data.prepared import PreparedData
from pipeline.files.io import read_csv, read_json
from tests.compute.test_team import two_nodes
from tests.models import write_source
from tests.stages.test_interrupted_stage import EPOCHS, make_project, runs_of

pytestmark = pytest.mark.slow


def test_stage_2_trains_on_two_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of stage 1 test_team.py holds what two machines compute, test_interrupted_stage.py what a team logs."""
    for name in ("DVC_STAGE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    project = make_project(tmp_path / "project")
    monkeypatch.chdir(project)
    write_source(project / "models", source=PreparedData.open("rafdb").description())
    two_nodes(["-m", "stages.adapt", "jaffe"], project)
    (run,) = runs_of(project, "adapt")  # the first machine alone logs and writes
    assert run.info.status == "FINISHED"
    assert run.data.tags["pocan.processes"] == "2"
    assert len(read_csv(project / "reports/curves/adapt-jaffe.csv")) == EPOCHS
    assert read_json(project / "models/adapted/jaffe/model.json")["stage"] == "adapt"
