"""What is queued, with DVC itself replaced: what waits is not queued twice, and what DVC refuses stops nothing else."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
import typer
import yaml
from typer.testing import CliRunner

from pipeline.command_line import INTERRUPTED, report_errors
from pipeline.errors import PipelineError
from pipeline.locks import exclusive
from pipeline.studies import execute, experiments, plan
from pocan.cli import app

ROOT = Path(__file__).parents[2]


@dataclass
class Queue:
    """DVC's queue, in which each task ends as soon as the workers start; those named ``refused`` never enter it."""

    states: dict[str, str]
    refused: tuple[str, ...]
    freed: list[str] = field(default_factory=list)
    started: int = 0

    def look(self) -> dict[str, str]:
        return dict(self.states)

    def enqueue(self, name: str, changes: Sequence[str]) -> None:
        if name in self.refused:
            raise PipelineError(f"dvc exp run: {name} refused")
        assert name not in self.states
        self.states[name] = "Queued"

    def mark_failed(self, names: Sequence[str]) -> None:
        for name in names:
            assert self.states[name] == "Lost"
            self.states[name] = "Failed"

    def remove_tasks(self, names: Sequence[str]) -> None:
        for name in names:
            assert self.states[name] != "Lost"
            del self.states[name]

    def start_workers(self, jobs: int, gpus: Sequence[str]) -> None:
        self.started += 1
        for name in self.states:
            self.states[name] = "Failed" if name == "mine-b-0" else "Success"


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, queue: Queue) -> dict[str, str]:
    """Execute a study of variants A, B and C with seed 0 on ``queue``."""
    variants = {name: {"adapt.epochs": number} for number, name in enumerate("ABC", 1)}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"title": "T", "seeds": [0], "variants": variants}))
    planned = plan.runs("mine", plan.read("mine", tmp_path), ROOT / "params.yaml")
    for name in ("enqueue", "mark_failed", "remove_tasks", "start_workers"):
        monkeypatch.setattr(experiments, name, getattr(queue, name))
    monkeypatch.setattr(experiments, "queue", queue.look)
    monkeypatch.setattr(experiments, "free_name", lambda name, there: queue.freed.append(name))
    monkeypatch.setattr(experiments, "finished", dict)
    monkeypatch.setattr(experiments, "uncommitted", list)
    monkeypatch.setattr(experiments, "failure_message", "said by {}".format)
    monkeypatch.setattr(execute, "POLL_SECONDS", 0.0)
    queued, refused = execute.begin(planned, 1)
    execute.watch(queued)
    return refused | execute.failures([run.name for run in planned])


def test_what_failed_is_queued_again_and_what_waits_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue({"mine-a-0": "Failed", "mine-b-0": "Queued", "another": "Running"}, refused=())
    assert run(tmp_path, monkeypatch, queue) == {"mine-b-0": "said by mine-b-0"}
    assert queue.freed == ["mine-a-0", "mine-c-0"]
    assert queue.states.keys() == {"mine-a-0", "mine-b-0", "mine-c-0", "another"}


def test_what_was_cut_off_runs_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue({"mine-a-0": "Lost", "another": "Lost"}, refused=())
    assert run(tmp_path, monkeypatch, queue) == {"mine-b-0": "said by mine-b-0"}
    assert queue.states["mine-a-0"] == "Success"


def test_what_only_seems_lost_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue({"mine-a-0": "Running"}, refused=())
    looks = iter([{"mine-a-0": "Lost"}])
    monkeypatch.setattr(Queue, "look", lambda self: next(looks, dict(self.states)))
    run(tmp_path, monkeypatch, queue)
    assert queue.freed == ["mine-b-0", "mine-c-0"]


def test_a_queue_that_does_not_move_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(experiments, "queue", lambda: {"a": "Lost", "b": "Queued", "c": "Success"})
    with pytest.raises(PipelineError, match="2 experiments wait or were interrupted, and none runs"):
        execute.watch(["a", "b", "c"])


@pytest.mark.parametrize(
    ("named", "count", "expected"),
    [(None, 2, ["0", "1"]), ("3,GPU-ab", 2, ["3", "GPU-ab"]), ("", 0, []), ("-1", 0, [])],
)
def test_gpus_have_the_names_that_a_process_may_be_given(
    named: str | None, count: int, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if named is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert execute.visible_gpus() == expected


@pytest.mark.parametrize(
    ("jobs", "devices", "expected"),
    [(1, 1, ""), (2, 1, ["0", "1", "2", "3"]), (2, 2, ["0,1", "2,3"]), (2, 3, ""), (5, 1, ["0", "1", "2", "3"])],
)
def test_every_job_has_gpus_of_its_own(
    jobs: int, devices: int, expected: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "visible_gpus", lambda: ["0", "1", "2", "3"])
    assert execute.gpus_of_jobs(jobs, devices) == list(expected)


def test_what_dvc_refuses_is_reported_and_the_rest_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    with exclusive(Path("studies")):
        refused = CliRunner().invoke(app, ["study", "mine", "--collect"])
    assert refused.exit_code == 1
    assert "studies: process" in refused.output
    assert "is using it; wait for it" in refused.output
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize(
    "change", [lambda: experiments.enqueue("mine", []), lambda: experiments.remove_tasks(["mine"])]
)
def test_ctrl_c_does_not_cut_off_what_dvc_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[], None]
) -> None:
    """DVC changes params.yaml while it queues an experiment, and restores it."""
    monkeypatch.chdir(tmp_path)
    interrupting = (
        "import os, pathlib, signal, time\nos.kill(os.getppid(), signal.SIGINT)\nos.kill(os.getpid(), signal.SIGINT)"
    )
    Path("dvc.py").write_text(f"{interrupting}\ntime.sleep(1)\npathlib.Path('restored').touch()\n")
    with pytest.raises(KeyboardInterrupt):
        change()
    assert Path("restored").exists()


def test_ctrl_c_while_a_study_is_watched_says_what_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> dict[str, str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(experiments, "queue", interrupted)
    with pytest.raises(typer.Exit) as ended:
        report_errors(execute.watch)(["mine"])
    assert ended.value.exit_code == INTERRUPTED
    assert "interrupted; DVC's queue continues. " in capsys.readouterr().err
