"""What is queued, with DVC itself replaced: what waits is not queued twice, and what DVC refuses stops nothing else."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.errors import PipelineError
from pipeline.locks import alone
from pipeline.studies import execute, experiments, plan

ROOT = Path(__file__).parents[2]


@dataclass
class Queue:
    """DVC's queue, in which each task ends as soon as the workers start; those named ``refused`` never enter it."""

    states: dict[str, str]
    refused: tuple[str, ...]
    freed: list[str] = field(default_factory=list)
    started: int = 0

    def put(self, name: str, changes: Sequence[str]) -> None:
        if name in self.refused:
            raise PipelineError(f"dvc exp run: {name} refused")
        assert name not in self.states
        self.states[name] = "Queued"

    def forget(self, names: Sequence[str]) -> None:
        for name in names:
            del self.states[name]

    def start(self, jobs: int) -> None:
        self.started += 1
        for name in self.states:
            self.states[name] = "Failed" if name == "mine-b-0" else "Success"


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, queue: Queue) -> dict[str, str]:
    """Execute a study of variants A, B and C with seed 0 on ``queue``."""
    variants = {name: {"adapt.epochs": number} for number, name in enumerate("ABC", 1)}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"title": "T", "seeds": [0], "variants": variants}))
    planned = plan.runs("mine", plan.read("mine", tmp_path), ROOT / "params.yaml")
    for name in ("put", "forget", "start"):
        monkeypatch.setattr(experiments, name, getattr(queue, name))
    monkeypatch.setattr(experiments, "queue", lambda: dict(queue.states))
    monkeypatch.setattr(experiments, "free", lambda name, there: queue.freed.append(name))
    monkeypatch.setattr(experiments, "finished", dict)
    monkeypatch.setattr(experiments, "uncommitted", list)
    monkeypatch.setattr(experiments, "log", "said by {}".format)
    monkeypatch.setattr(execute, "LOOK_EVERY", 0.0)
    queued, refused = execute.begin(planned, 1)
    return refused | execute.watch(queued)


def test_what_failed_is_queued_again_and_what_waits_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue({"mine-a-0": "Failed", "mine-b-0": "Queued", "another": "Running"}, refused=())
    assert run(tmp_path, monkeypatch, queue) == {"mine-b-0": "said by mine-b-0"}
    assert queue.freed == ["mine-a-0", "mine-c-0"]
    assert queue.states.keys() == {"mine-a-0", "mine-b-0", "mine-c-0", "another"}


def test_what_dvc_refuses_is_told_and_the_rest_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue({}, refused=("mine-a-0",))
    failed = run(tmp_path, monkeypatch, queue)
    assert failed == {"mine-a-0": "dvc exp run: mine-a-0 refused", "mine-b-0": "said by mine-b-0"}
    assert queue.started == 1


def test_where_dvc_refuses_everything_no_workers_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue({}, refused=("mine-a-0", "mine-b-0", "mine-c-0"))
    assert run(tmp_path, monkeypatch, queue).keys() == set(queue.refused)
    assert queue.started == 0


def test_nobody_reads_the_parameters_while_another_study_is_queued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/mine.yaml").write_text(yaml.safe_dump({"title": "T", "seeds": [0], "variants": {"A": {}}}))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    with alone(Path("studies")):
        refused = CliRunner().invoke(app, ["study", "mine", "--collect"])
    assert refused.exit_code == 1
    assert "studies: process" in refused.output
    assert "is at work there; wait for it" in refused.output
    assert not (tmp_path / "reports").exists()
