"""Files of DVC's queue that are half written when they are read, or were left so by a process that was killed."""

import json
import threading
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kombu.transport.filesystem import Channel

from pipeline.errors import PipelineError
from pipeline.studies import experiments
from pipeline.studies.execute import failures

TABLE = "broker/control/reply.celery.pidbox.exchange"


@pytest.fixture
def dvcs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A queue in a folder whose workers answer as soon as kombu can read its tables."""
    monkeypatch.setattr(experiments, "READ_PAUSE", 0.04)
    for name in (TABLE, "broker/processed/1.celery.msg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("[]")
    channel = SimpleNamespace(_exchange_file=lambda name: tmp_path / f"broker/control/{name}.exchange")

    get_table: Any = Channel.get_table

    def worker_status() -> dict[str, Any]:
        assert get_table(channel, "reply.celery.pidbox") == []
        json.loads((tmp_path / "broker/processed/1.celery.msg").read_text())
        return {}

    return SimpleNamespace(wdir=str(tmp_path), worker_status=worker_status)


@pytest.mark.parametrize("name", [TABLE, "broker/processed/1.celery.msg"])
def test_what_is_half_written_is_looked_at_again(name: str, dvcs: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / name).write_text("")
    writer = threading.Timer(0.4, (tmp_path / name).write_text, ["[]"])
    writer.start()
    assert experiments._lost(["a" * 40], dvcs) == {"a" * 40}
    writer.join()


def test_a_table_that_stays_unreadable_is_removed_as_dvc_makes_it_anew(dvcs: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / TABLE).write_text('[["", "", "3f')
    assert experiments._lost(["a" * 40], dvcs) == {"a" * 40}
    assert not (tmp_path / TABLE).exists()


def test_a_task_that_stays_unreadable_is_named(dvcs: SimpleNamespace, tmp_path: Path) -> None:
    task = tmp_path / "broker/processed/1.celery.msg"
    task.write_text("")
    with pytest.raises(PipelineError, match=rf"incomplete files.*: {task}\. Remove them") as raised:
        experiments._lost(["a" * 40], dvcs)
    assert f"rm {task}" in str(raised.value)
    assert task.exists()


@pytest.mark.parametrize(("failures", "calls"), [(0, 1), (1, 2), (9, experiments.ATTEMPTS)])
def test_a_command_of_dvcs_that_meets_one_is_called_again(
    failures: int, calls: int, dvcs: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = tmp_path / "calls"
    counted.write_text("")
    program = tmp_path / "dvc.py"
    program.write_text(
        f"import json, sys\nwith open({str(counted)!r}, 'a') as file: print(file=file)\n"
        f"if len(open({str(counted)!r}).readlines()) <= {failures}: json.loads('')"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(experiments, "_dvcs_queue", lambda: nullcontext(dvcs))
    if calls > failures:
        experiments._dvc("queue", "start")
    else:
        with pytest.raises(PipelineError, match=r"dvc queue start: (?s:.)*JSONDecodeError"):
            experiments._dvc("queue", "start")
    assert len(counted.read_text()) == calls


def test_what_dvc_calls_a_success_and_left_no_result_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    states = {"a": "Success", "b": "Failed", "c": "Success"}
    monkeypatch.setattr(experiments, "queue", lambda: states)
    monkeypatch.setattr(experiments, "failure_message", "said by {}".format)
    failed = failures(["a", "b", "c"], ran=["a", "b"])
    assert failed.keys() == {"a", "b"}
    assert failed["b"] == "said by b"
    assert "DVC says that it succeeded, but reports/evaluate has no result with these parameters" in failed["a"]
