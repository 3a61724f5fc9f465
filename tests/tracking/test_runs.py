"""MLflow runs: grouped by execution, complete, failed when the stage fails, refused where no server answers."""

import contextlib
import errno
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import pytest
import torch
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from requests import ConnectionError as NoConnection
from requests import HTTPError, Response
from requests.exceptions import RetryError

from pipeline.config.dependencies import flatten
from pipeline.config.load import load
from pipeline.config.schema import Params
from pipeline.data.crops import CROP_SIZE, CropStore
from pipeline.errors import StorageError, TrackingError, WeightsError
from pipeline.tracking import execution, models, offline_queue, runs, tree
from pipeline.tracking.costs import Cost, adaptation_costs
from pipeline.tracking.store import address, is_unreachable
from pipeline.training.checkpoints import Checkpoint
from tests.models import ADAPTED, small
from tests.stores import flat, write_store
from tests.tracking.empty_store import write_empty_store

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def without_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Params]:
    """The project's parameters, as those of an experiment in an empty folder."""
    settings = load(ROOT / "params.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_EXP_NAME", "brave-newt")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "0" * 40)
    yield settings
    # Choosing a store also sets the environment variable, which would leak into later tests and processes.
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture
def settings(without_store: Params, tmp_path: Path) -> Params:
    """The same with a store that has no runs yet."""
    write_empty_store(tmp_path)
    return without_store


@pytest.fixture
def store(tmp_path: Path) -> CropStore:
    rows = [{"key": str(index), "method": "mtcnn"} for index in range(3)]
    return write_store(tmp_path / "store", [flat(0)] * 3, rows, provenance="stand-in")


def test_runs_of_one_execution_hang_below_one_parent_that_names_the_experiment(
    settings: Params, store: CropStore, tmp_path: Path
) -> None:
    with runs.stage_run(settings, "pretrain") as first:
        first.log({"loss": 1.5}, 1)
        first.log({"loss": 1.0}, 2)
        first.log_dataset(store, np.array([0, 2]), "train")
    with runs.stage_run(settings, "adapt", "ckplus") as second:
        pass
    files = [Path("reports/tables.md"), Path("reports/figures/f1.png")]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("content")
    tree.log_report(settings, {"ckplus.accuracy": 0.5}, files)
    client = mlflow.MlflowClient()
    assert mlflow.get_tracking_uri() == f"sqlite:///{tmp_path / 'mlflow.db'}"
    found = {run.info.run_id: run for run in client.search_runs([client.get_run(first.id).info.experiment_id])}
    assert len(found) == 3
    parents = {found[stage.id].data.tags["mlflow.parentRunId"] for stage in (first, second)}
    assert len(parents) == 1
    parent = found[parents.pop()]
    assert {run.data.tags["pocan.group"] for run in found.values()} == {"brave-newt"}
    assert {run.data.tags["dvc.experiment"] for run in found.values()} == {"brave-newt"}
    assert {run.data.tags["git.commit"] for run in found.values()} == {"0" * 40}
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    assert parent.data.metrics == {"ckplus.accuracy": 0.5}
    assert parent.data.tags["mlflow.note.content"].startswith("POCAN from RAF-DB to CK+, JAFFE, ")
    artifacts = [*client.list_artifacts(parent.info.run_id), *client.list_artifacts(parent.info.run_id, "figures")]
    assert {artifact.path for artifact in artifacts} == {"figures", "tables.md", "figures/f1.png"}
    pretrain = found[first.id]
    assert pretrain.info.run_name == "pretrain"
    assert found[second.id].info.run_name == "adapt@ckplus"
    assert found[second.id].data.tags["pocan.target"] == "ckplus"
    assert "POCAN adapts the model from RAF-DB to CK+" in found[second.id].data.tags["mlflow.note.content"]
    assert pretrain.data.params["adapt.tau"] == "0.7"
    assert pretrain.data.params["split.ckplus.protocol"] == "stratified"
    assert [(m.step, m.value) for m in client.get_metric_history(first.id, "loss")] == [(1, 1.5), (2, 1.0)]
    assert pretrain.inputs is not None
    (dataset,) = pretrain.inputs.dataset_inputs
    assert dataset.dataset.name == "ckplus-train"
    tags = {tag.key: tag.value for tag in dataset.tags}
    assert (tags["rows"], tags["provenance"]) == ("2", "stand-in")
    assert tags["store"] == store.description["digest"]
    assert tags["digest"].startswith(dataset.dataset.digest)


def test_an_experiment_offers_a_view_of_its_results_which_a_user_may_change(settings: Params) -> None:
    client = mlflow.MlflowClient()
    with runs.stage_run(settings, "pretrain") as tracked:
        experiment = client.get_run(tracked.id).info.experiment_id
    key = "mlflow.sharedViewState.percent"
    columns = json.loads(client.get_experiment(experiment).tags[key])["selectedColumns"]
    assert "metrics.`gain_points`" in columns
    client.set_experiment_tag(experiment, key, "{}")
    with runs.stage_run(settings, "pretrain"):
        pass
    assert client.get_experiment(experiment).tags[key] == "{}"


def test_other_rows_of_a_store_are_another_data_set(settings: Params, store: CropStore) -> None:
    """MLflow takes a data set of the same name and digest for the same, and shows the number of rows it saw first."""
    counts = []
    for rows in (np.array([0, 1, 2]), np.array([0, 2])):
        with runs.stage_run(settings, "pretrain") as run:
            run.log_dataset(store, rows, "train")
        inputs = mlflow.get_run(run.id).inputs
        assert inputs is not None
        (dataset,) = inputs.dataset_inputs
        counts.append(json.loads(dataset.dataset.profile or "")["num_rows"])
    assert counts == [3, 2]


def test_that_runs_lose_their_commit_is_said_once_for_all_stages(
    settings: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.delenv("DVC_EXP_BASELINE_REV")
    for stage in ("pretrain", "prototypes"):
        with runs.stage_run(settings, stage) as run:
            pass
    assert capsys.readouterr().err.count("detected dubious ownership") == 1
    assert {"git.commit", "git.dirty"}.isdisjoint(mlflow.get_run(run.id).data.tags)


def test_a_failing_stage_leaves_a_failed_run(settings: Params) -> None:
    with pytest.raises(ZeroDivisionError), runs.stage_run(settings, "pretrain") as run:
        raise ZeroDivisionError
    client = mlflow.MlflowClient()
    failed = client.get_run(run.id)
    assert failed.info.status == "FAILED"
    assert client.get_run(failed.data.tags["mlflow.parentRunId"]).info.status == "FAILED"


def test_the_first_error_is_reported_where_the_store_fails_too(
    settings: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MlflowException("the store has gone away")

    monkeypatch.setattr(mlflow, "end_run", fail)
    with pytest.raises(ZeroDivisionError) as caught, runs.stage_run(settings, "pretrain"):
        raise ZeroDivisionError
    monkeypatch.undo()
    mlflow.end_run()
    assert "could not be marked as failed: the store has gone away" in caught.value.__notes__[0]


def test_a_report_that_no_store_takes_is_one_message(settings: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MlflowException("the store has gone away")

    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", fail)
    with pytest.raises(TrackingError, match="failed: the store has gone away"):
        tree.log_report(settings, {"ckplus.accuracy": 0.5}, [])


def test_stages_that_meet_an_empty_store_at_once_all_open_it(tmp_path: Path) -> None:
    """As ``dvc queue start --jobs 2`` on a new project does."""
    loaded = "import sys; from pipeline.tracking.store import connect; print(flush=True)"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    stages = [
        subprocess.Popen(
            [sys.executable, "-c", f"{loaded}; sys.stdin.read(1); connect('pocan')"],
            cwd=tmp_path,
            env=environment | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for stage in stages:  # both have loaded MLflow and wait
        assert stage.stdout is not None
        assert stage.stdout.readline() == "\n"
    for stage in stages:
        assert stage.stdin is not None
        stage.stdin.write("go")
        stage.stdin.flush()
    for stage in stages:
        assert stage.communicate(timeout=120)[1].count("Error") == 0
        assert stage.returncode == 0
    names = [e.name for e in mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").search_experiments()]
    assert sorted(names) == ["Default", "pocan"]


def test_a_second_execution_of_one_experiment_has_its_own_parent(
    settings: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    parents = []
    for process in ("1-1", "2-2"):
        monkeypatch.setattr(execution, "_identity", lambda _, process=process: process)
        with runs.stage_run(settings, "pretrain") as run:
            pass
        parents.append(mlflow.MlflowClient().get_run(run.id).data.tags["mlflow.parentRunId"])
    assert len(set(parents)) == 2


def checkpoint_in(folder: Path, epochs: int = 0, fingerprint: str = "print") -> Checkpoint:
    checkpoint = Checkpoint(folder / "c.pt", {"print": fingerprint})
    if epochs:
        checkpoint.save({"curve": [{}] * epochs, "costs": [{}] * epochs, "task": {}})
    return checkpoint


def interrupt(settings: Params, checkpoint: Checkpoint, identity: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A stage that logs an epoch and is stopped, in an execution of its own; returns its run."""
    monkeypatch.setattr(execution, "_identity", lambda _: identity)
    opened: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        log_an_epoch_and_stop(settings, checkpoint, opened)
    return mlflow.get_run(opened[0])


def log_an_epoch_and_stop(settings: Params, checkpoint: Checkpoint, opened: list[str]) -> None:
    with runs.stage_run(settings, "adapt", "ckplus", checkpoint) as run:
        opened.append(run.id)
        run.log({"loss": 2.0}, 1)
        raise KeyboardInterrupt


def go_on(settings: Params, checkpoint: Checkpoint, identity: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The same stage in another execution, which logs both epochs and ends."""
    monkeypatch.setattr(execution, "_identity", lambda _: identity)
    with runs.stage_run(settings, "adapt", "ckplus", checkpoint) as run:
        run.log({"loss": 2.0}, 1)
        run.log({"loss": 1.0}, 2)
    return mlflow.get_run(run.id)


def test_an_interrupted_run_goes_on_in_its_tree_and_logs_each_epoch_once(
    settings: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = checkpoint_in(tmp_path, epochs=1)
    before = interrupt(settings, checkpoint, "1-1", monkeypatch)
    monkeypatch.delenv("DVC_EXP_NAME")  # now by a plain dvc repro
    after = go_on(settings, checkpoint, "2-2", monkeypatch)
    assert (before.info.status, after.info.status) == ("FAILED", "FINISHED")
    assert after.info.run_id == before.info.run_id
    client = mlflow.MlflowClient()
    history = client.get_metric_history(after.info.run_id, "loss")
    assert [(metric.step, metric.value) for metric in history] == [(1, 2.0), (2, 1.0)]
    parent = client.get_run(after.data.tags["mlflow.parentRunId"])
    assert parent.info.run_id == before.data.tags["mlflow.parentRunId"]
    assert parent.data.tags["pocan.process"] == "2-2"
    assert {"dvc.experiment"} & (parent.data.tags.keys() | after.data.tags.keys()) == set()
    with runs.stage_run(settings, "evaluate", "ckplus") as later:  # of the same execution
        pass
    assert client.get_run(later.id).data.tags["mlflow.parentRunId"] == parent.info.run_id


@pytest.mark.parametrize("why", ["parameters", "fingerprint", "deleted", "no checkpoint", "half a note", "no id"])
def test_a_run_that_does_not_fit_is_left_alone(
    settings: Params, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = interrupt(settings, checkpoint_in(tmp_path, epochs=1), "1-1", monkeypatch)
    checkpoint = checkpoint_in(tmp_path)
    if why == "parameters":
        settings = settings.model_copy(update={"seed": 5})
    if why == "fingerprint":
        checkpoint = checkpoint_in(tmp_path, fingerprint="other")
    if why == "deleted":
        mlflow.delete_run(before.info.run_id)
    if why == "no checkpoint":
        checkpoint.path.unlink()
    noted = checkpoint.run()
    if why == "half a note":
        checkpoint.keep_run({"run_id": before.info.run_id})
    if why == "no id":
        assert noted is not None
        checkpoint.keep_run({**noted, "run_id": "?"})
    assert go_on(settings, checkpoint, "2-2", monkeypatch).info.run_id != before.info.run_id


def test_a_deleted_parent_is_replaced(settings: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = interrupt(settings, checkpoint_in(tmp_path, epochs=1), "1-1", monkeypatch)
    mlflow.delete_run(before.data.tags["mlflow.parentRunId"])
    after = go_on(settings, checkpoint_in(tmp_path), "2-2", monkeypatch)
    assert after.info.run_id == before.info.run_id
    parent = mlflow.get_run(after.data.tags["mlflow.parentRunId"])
    assert (parent.info.lifecycle_stage, parent.info.status) == ("active", "FINISHED")


def test_a_store_that_fails_in_the_middle_is_reported(settings: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise MlflowException("connection lost")

    monkeypatch.setattr(offline_queue, "send", gone)
    with pytest.raises(TrackingError, match="connection lost\nTraining is kept"):
        log_one_metric(settings)


def test_a_run_that_goes_on_logs_again_what_was_kept_of_it(
    settings: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An interrupted stage waits for no server, and what it could not send is not sent twice."""
    checkpoint = checkpoint_in(tmp_path, epochs=1)
    with monkeypatch.context() as outage:
        outage.setattr(offline_queue, "send", unreachable)
        began = time.monotonic()
        before = interrupt(settings, checkpoint, "1-1", monkeypatch)
        assert time.monotonic() - began < 10
    kept = tmp_path / offline_queue.UNSENT / before.info.run_id
    assert sorted(path.name for path in kept.iterdir()) == ["000001.json", "run.json"]
    assert f"1 entries are kept in {kept}. When it is back: pocan send" in capsys.readouterr().err
    after = go_on(settings, checkpoint, "2-2", monkeypatch)
    assert after.info.run_id == before.info.run_id
    history = mlflow.MlflowClient().get_metric_history(after.info.run_id, "loss")
    assert [(metric.step, metric.value) for metric in history] == [(1, 2.0), (2, 1.0)]
    assert not kept.exists()


def unreachable(*_: object) -> None:
    raise MlflowException("API request failed") from NoConnection("no route to host")


def test_a_later_stage_says_that_something_waits(settings: Params, capsys: pytest.CaptureFixture[str]) -> None:
    note = Path(offline_queue.UNSENT, "0" * 32, "run.json")
    note.parent.mkdir(parents=True)
    note.write_text("{}")
    with runs.stage_run(settings, "prototypes"):
        assert "what 1 earlier run(s) had to log still waits there; send it by: pocan send" in capsys.readouterr().err


@pytest.mark.parametrize("later", [True, False])
def test_a_model_that_is_sent_late_does_not_take_the_alias_of_a_newer_one(
    settings: Params, later: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with runs.stage_run(settings, "adapt", "ckplus") as run:
        pass
    client = mlflow.MlflowClient()
    client.create_registered_model("pocan-ckplus")
    first, second = (client.create_model_version("pocan-ckplus", str(tmp_path), run.id).version for _ in range(2))
    client.set_registered_model_alias("pocan-ckplus", offline_queue.ALIAS, first)
    monkeypatch.setattr(mlflow, "register_model", lambda *_: SimpleNamespace(version=second))
    model = tmp_path / "model"
    model.mkdir()
    Model().save(str(model / "MLmodel"))
    moment = offline_queue.now() + (10_000 if later else -10_000)
    offline_queue.send(run.id, "model", {"registered_name": "pocan-ckplus", "time": moment}, [model])
    assert client.get_model_version_by_alias("pocan-ckplus", offline_queue.ALIAS).version == (
        second if later else first
    )


def answer(status: int) -> HTTPError:
    response = Response()
    response.status_code = status
    return HTTPError(response=response)


def caused(error: Exception) -> MlflowException:
    wrapped = MlflowException("API request failed")
    wrapped.__cause__ = error
    return wrapped


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (NoConnection("refused"), True),
        (caused(NoConnection("refused")), True),
        (caused(RetryError("too many 503 error responses")), True),
        (answer(503), True),
        (answer(403), False),
        (MlflowException("Run with id=1 was deleted"), False),
        (caused(ValueError("database is locked")), False),
    ],
)
def test_what_counts_as_a_server_that_is_away(error: Exception, away: bool) -> None:
    assert is_unreachable(error) is away


def keep_a_file(run_id: str, name: str) -> Path:
    """Leave curve.csv as a stage does whose server went away; returns the folder."""
    Path("curve.csv").write_text("epoch,loss\n")
    queue = offline_queue.OfflineQueue(run_id, name)
    queue.put("files", {"folder": "adapt"}, [Path("curve.csv")], ahead=unreachable)
    queue.close(0)
    return queue.folder


def test_a_damaged_entry_is_named(settings: Params) -> None:
    with runs.stage_run(settings, "adapt", "ckplus") as run:
        pass
    (keep_a_file(run.id, "adapt") / "000001.json").write_text('{"kind": "met')
    with pytest.raises(
        TrackingError, match=r"0001\.json: cannot be read \(JSONDecode.*remove this file, and send again"
    ):
        list(offline_queue.send_unsent())


@pytest.mark.parametrize("named", [(), ("/tmp/of-mine/a", None, "elsewhere")], ids=["nameless", "of a copy"])
def test_the_full_disk_of_the_runs_files_is_named(
    settings: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: tuple[str | None, ...]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *named)

    (tmp_path / "a").write_text("a")
    monkeypatch.setattr(mlflow.MlflowClient, "log_artifact", full)
    with (
        pytest.raises(StorageError, match=rf"^{tmp_path / 'mlruns'}/\w+/artifacts: cannot be written \(No space left"),
        runs.stage_run(settings, "pretrain") as run,
    ):
        run.log_files([tmp_path / "a"], "here")
    assert mlflow.get_run(run.id).info.status == "FAILED"


def log_one_metric(settings: Params) -> None:
    with runs.stage_run(settings, "pretrain") as run:
        run.log({"loss": 1.0}, 1)


def test_the_model_is_registered_under_its_alias_and_predicts_the_same(
    settings: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    network = small()
    images = np.random.Generator(np.random.PCG64(0)).random((3, 3, CROP_SIZE, CROP_SIZE), dtype=np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(images)).numpy()
    with runs.stage_run(settings, "adapt", "ckplus") as run, warnings.catch_warnings():
        warnings.filterwarnings("error", message="No complete tensor")
        run.log_model(network, ADAPTED, "pocan-ckplus")
    version = mlflow.MlflowClient().get_model_version_by_alias("pocan-ckplus", offline_queue.ALIAS)
    assert version.run_id == run.id
    graph = mlflow.pytorch.load_model(f"models:/pocan-ckplus@{offline_queue.ALIAS}")
    with torch.no_grad():
        np.testing.assert_allclose(graph(torch.from_numpy(images)).numpy(), expected, atol=1e-5)
    for where in (f"models:/pocan-ckplus@{offline_queue.ALIAS}", f"runs:/{run.id}/model"):
        own = models.open_model(where)
        assert own.description["adapt"] == ADAPTED["adapt"]
        with torch.no_grad():
            np.testing.assert_array_equal(own.model(torch.from_numpy(images)).numpy(), expected)
    with pytest.raises(TrackingError, match="models:/nowhere@newest: MLflow has no such model"):
        models.open_model("models:/nowhere@newest")
    assert "artifacts:" not in capsys.readouterr().err  # MLflow's own bars


@pytest.mark.usefixtures("without_store")
def test_asking_for_a_model_makes_no_store() -> None:
    with pytest.raises(TrackingError, match=r"there is no .*mlflow\.db; run from the project's root"):
        models.open_model("models:/pocan-ckplus@newest")
    assert not Path("mlflow.db").exists()


def test_a_server_that_does_not_answer_is_reported_before_training(
    settings: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    with (
        pytest.raises(TrackingError, match=r"http://127\.0\.0\.1:9 cannot be used(.|\n)*Nothing was trained"),
        runs.stage_run(settings, "pretrain"),
    ):
        pytest.fail("the body must not run")


def test_a_stage_run_by_hand_is_its_own_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    here = execution.current()
    assert here.experiment is None
    assert here.group.startswith(("by hand 2", "repro 2"))
    assert here == execution.current()


def test_machines_that_share_a_store_have_executions_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes of two machines may have the same number, and have begun as long after the machine."""
    here = execution.current()
    monkeypatch.setattr(execution, "BOOT", tmp_path / "boot_id")
    (tmp_path / "boot_id").write_text("9f1b8f5e-0000-0000-0000-000000000000\n")
    there = execution.current()
    assert here.process != there.process
    assert here.process.split("-")[0] == there.process.split("-")[0]


@pytest.mark.parametrize(
    ("folder", "expected"),
    [("project", "project"), ("project/.dvc/tmp/exps/temp/x", "project"), ("project/tmp/y", "project/tmp/y")],
)
def test_temporary_experiments_use_the_store_of_the_project_around_them(
    folder: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / folder)
    assert execution.store_root() == (tmp_path / expected).resolve()


def test_flatten_writes_keys_as_dvc_does() -> None:
    flat = flatten({"a": {"b": 1, "c": [1, 2]}, "d": None})
    assert flat == {"a.b": 1, "a.c": "1,2", "d": "null"}


def test_costs_of_an_experiments_adaptations(settings: Params) -> None:
    # The same name again, as after a change of the code: the last one counts.
    for seconds in (100.0, 2.0):
        with runs.stage_run(settings, "adapt", "jaffe") as tracked:
            for epoch in (1, 2, 3):
                tracked.log({"epoch_seconds": seconds * epoch, "peak_memory_mib": 800.0}, epoch)
    with runs.stage_run(settings, "evaluate", "jaffe") as tracked:
        tracked.log({"epoch_seconds": 50.0, "peak_memory_mib": 1.0}, 1)
    with contextlib.suppress(KeyboardInterrupt), runs.stage_run(settings, "adapt", "sfew") as tracked:
        tracked.log({"epoch_seconds": 50.0, "peak_memory_mib": 1.0}, 1)
        raise KeyboardInterrupt
    same, other = flatten(settings.model_dump()), flatten(settings.model_dump()) | {"seed": 99}
    found = adaptation_costs(settings.tracking.experiment, {"brave-newt": other, "shy-owl": other})
    assert found == {"brave-newt": {"jaffe": Cost(12.0, 800.0)}}
    # One that has its models from DVC's run cache: what their training took.
    found = adaptation_costs(settings.tracking.experiment, {"shy-owl": same})
    assert found == {"shy-owl": {"jaffe": Cost(12.0, 800.0)}}
    assert adaptation_costs("another", {"brave-newt": same}) == {}


def test_without_a_store_there_are_no_costs_and_none_is_made(without_store: Params, tmp_path: Path) -> None:
    assert adaptation_costs(without_store.tracking.experiment, {"brave-newt": {}}) == {}
    assert not list(tmp_path.glob("mlflow.db*"))


def test_a_server_may_take_its_time_over_a_large_model(settings: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    with runs.stage_run(settings, "adapt", "ckplus"):
        pass
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    patience: list[str | None] = []

    def download(_: str, folder: str) -> None:
        patience.append(os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT"))
        Path(folder, "MLmodel").touch()

    place = SimpleNamespace(artifact_uri="mlflow-artifacts:/1/model", download_artifacts=download)
    monkeypatch.setattr(models, "_place", lambda _: place)
    with pytest.raises(WeightsError, match="logged by another version of this project"):
        models.open_model("models:/pocan-ckplus@newest")
    assert patience == [None]

    def full(_: str, folder: str) -> None:
        raise MlflowException(f"failures occurred: [Errno 28] {os.strerror(28)}: '/store/a' -> '{folder}/a'")

    place.download_artifacts = full
    with pytest.raises(StorageError, match="there is no room for temporary files"):
        models.open_model("models:/pocan-ckplus@newest")
    place.download_artifacts = lambda *_: None
    with pytest.raises(TrackingError, match=r"its files are gone: mlflow-artifacts:/1/model has none"):
        models.open_model("models:/pocan-ckplus@newest")


def test_one_runs_fault_keeps_no_others_entries_back_and_files_may_take_their_time(
    settings: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    with runs.stage_run(settings, "adapt", "ckplus") as run:
        pass
    for number, run_id in enumerate(("0" * 32, run.id)):
        keep_a_file(run_id, f"run {number}")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    patience: list[str | None] = []
    log_artifact = mlflow.MlflowClient.log_artifact

    def noted(*arguments: Any) -> None:
        patience.append(os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT"))
        log_artifact(*arguments)

    monkeypatch.setattr(mlflow.MlflowClient, "log_artifact", noted)
    with pytest.raises(TrackingError, match=f"{'0' * 32} could not be sent"):
        list(offline_queue.send_unsent())
    assert mlflow.artifacts.load_text(f"runs:/{run.id}/adapt/curve.csv") == "epoch,loss\n"
    assert patience == [None]


@pytest.mark.usefixtures("settings")
def test_a_damaged_note_on_what_waits_is_named() -> None:
    folder = Path(offline_queue.UNSENT, "0123")
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"store": ')
    with pytest.raises(TrackingError, match=r"0123/run\.json: cannot be read \(JSONDecodeError.*; write {"):
        list(offline_queue.send_unsent())


def test_a_servers_password_is_neither_shown_nor_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: "https://me:secret@tracking.example.org:5000/a")
    assert address() == "https://tracking.example.org:5000/a"
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: "sqlite:////home/me@work/mlflow.db")
    assert address() == "sqlite:////home/me@work/mlflow.db"
