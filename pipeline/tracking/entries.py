"""What a run has to log, as entries that can be sent at once, or be kept in a folder and sent later."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Run, RunStatus, RunTag
from mlflow.models import Model
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from pipeline.errors import TrackingError
from pipeline.files.io import read_json, write_json
from pipeline.tracking import bucket
from pipeline.tracking.store import QUICK, short_timeouts

ALIAS = "newest"
"""Alias of the version of a registered model that was trained last ("latest" is reserved by MLflow)."""


@dataclass(frozen=True)
class Entry:
    """One thing to log. kind: a key of ``SENDERS``. content: JSON values. paths: files, or a folder, that go along."""

    kind: str
    content: Mapping[str, Any]
    paths: tuple[Path, ...] = ()

    @property
    def large(self) -> bool:
        """Whether a server may take its time over it, as it stores files."""
        return bool(self.paths)

    def keep(self, place: Path) -> None:
        """Write it as ``place``.json, after copies of its files in the folder ``place``.

        Raises:
            StorageError: the description cannot be written. OSError: a file cannot be copied.
        """
        copies = [place / path.name for path in self.paths]
        for path, copy in zip(self.paths, copies, strict=True):
            if path.is_dir():
                shutil.copytree(path, copy, dirs_exist_ok=True)
            else:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
        names = [copy.name for copy in copies]
        write_json(place.with_suffix(".json"), {"kind": self.kind, "content": self.content, "paths": names})

    @classmethod
    def kept(cls, description: Path) -> "Entry":
        """What ``keep`` wrote.

        Raises:
            TrackingError: the file is damaged.
        """
        try:
            said = read_json(description)
            place = description.with_suffix("")
            return cls(said["kind"], said["content"], tuple(place / name for name in said["paths"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrackingError(
                f"{description}: cannot be read ({(error.__cause__ or error)!r}); remove this file, and send again"
            ) from error

    def without(self, logged: set[tuple[str, int]]) -> "Entry":
        """The same without the metrics that are logged already: whether a request arrived is not always known."""
        if self.kind != "metrics":
            return self
        values, step = self.content["values"], self.content["step"]
        return replace(self, content={**self.content, "values": _new(values, step, logged)})


def metrics(values: Mapping[str, float], step: int, logged: set[tuple[str, int]] | None = None) -> Entry:
    """Those of one epoch that are not ``logged`` yet; they keep this moment as their time."""
    return Entry("metrics", {"values": _new(values, step, logged or set()), "step": step, "time": _now()})


def tags(values: Mapping[str, str]) -> Entry:
    """Tags of the run."""
    return Entry("tags", dict(values))


def data(dataset: Mapping[str, str], context: str, about: Mapping[str, str]) -> Entry:
    """An input of the run: MLflow's description of it (``Dataset.to_dict``), what it is used for, and tags."""
    return Entry("data", {"dataset": dict(dataset), "tags": {**about, MLFLOW_DATASET_CONTEXT: context}})


def files(paths: Sequence[Path], folder: str | None) -> Entry:
    """Artifacts below ``folder``; of different names."""
    return Entry("files", {"folder": folder}, tuple(paths))


def model(folder: Path, registered_name: str | None) -> Entry:
    """A model that MLflow has saved in ``folder``; with a name it is registered and becomes the version ``ALIAS``."""
    return Entry("model", {"registered_name": registered_name, "time": _now()}, (folder,))


def ended(status: str, parent_id: str) -> Entry:
    """The end of the run, and for now of its parent, whose duration is then that of the execution."""
    return Entry("ended", {"status": status, "time": _now(), "parent": parent_id})


def send(entry: Entry, run_id: str) -> None:
    """Log it.

    Raises:
        MlflowException, RequestException: the server, or its bucket, does not answer, or refuses.
    """
    if entry.large:
        _ask(run_id)
    with short_timeouts(None if entry.large else QUICK), bucket.translated():
        SENDERS[entry.kind](MlflowClient(), run_id, entry.content, entry.paths)


def _ask(run_id: str) -> None:
    """Prove within seconds that server and bucket answer.

    A dead one would cost minutes where a file is sent, and MLflow would keep a failed model of every attempt.
    """
    with short_timeouts():
        bucket.ask(str(MlflowClient().get_run(run_id).info.artifact_uri))


def logged_metrics(run: Run) -> set[tuple[str, int]]:
    """Name and step of every metric that the run has in the store."""
    client = MlflowClient()
    return {(m.key, m.step) for key in run.data.metrics for m in client.get_metric_history(run.info.run_id, key)}


def _new(values: Mapping[str, float], step: int, logged: set[tuple[str, int]]) -> dict[str, float]:
    return {key: value for key, value in values.items() if (key, step) not in logged}


def _now() -> int:
    """Milliseconds since 1970, as MLflow counts."""
    return time.time_ns() // 1_000_000


def _send_metrics(client: MlflowClient, run_id: str, content: Mapping[str, Any], _: tuple[Path, ...]) -> None:
    found = [Metric(key, value, content["time"], content["step"]) for key, value in content["values"].items()]
    if found:
        client.log_batch(run_id, metrics=found)


def _send_tags(client: MlflowClient, run_id: str, content: Mapping[str, Any], _: tuple[Path, ...]) -> None:
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in content.items()])


def _send_data(client: MlflowClient, run_id: str, content: Mapping[str, Any], _: tuple[Path, ...]) -> None:
    about = [InputTag(key, value) for key, value in content["tags"].items()]
    client.log_inputs(run_id, datasets=[DatasetInput(Dataset(**content["dataset"]), about)])


def _send_files(client: MlflowClient, run_id: str, content: Mapping[str, Any], paths: tuple[Path, ...]) -> None:
    for path in paths:
        client.log_artifact(run_id, str(path), content["folder"])


def _send_model(client: MlflowClient, run_id: str, content: Mapping[str, Any], paths: tuple[Path, ...]) -> None:
    (folder,) = paths

    def save_model(path: str, mlflow_model: Model, **_: object) -> None:
        """Instead of a flavour's: what it has saved before, under the new model's own identity."""
        shutil.copytree(folder, path)
        saved = Model.load(str(folder))
        for name in ("flavors", "signature", "saved_input_example_info", "model_size_bytes", "utc_time_created"):
            setattr(mlflow_model, name, getattr(saved, name))
        mlflow_model.save(str(Path(path) / MLMODEL_FILE_NAME))

    registered = content["registered_name"]
    logged = Model.log(
        None,
        SimpleNamespace(__name__="mlflow.pytorch", save_model=save_model),
        name="model",
        run_id=run_id,
        registered_model_name=registered,
        # The example would be predicted by the copy that was just exported, a second a model; a test does it once.
        validate_serving_input=False,
    )
    if registered and not _trained_later(client, registered, content["time"]):
        client.set_registered_model_alias(registered, ALIAS, logged.registered_model_version)


def _trained_later(client: MlflowClient, registered: str, moment: int) -> bool:
    """Whether the newest version so far is of a run that ended after ``moment``: this one was sent late."""
    newest = client.get_registered_model(registered).aliases.get(ALIAS)
    if newest is None:
        return False
    version = client.get_model_version(registered, newest)
    end = client.get_run(version.run_id).info.end_time if version.run_id else None
    return end is not None and end > moment


def _send_ended(client: MlflowClient, run_id: str, content: Mapping[str, Any], _: tuple[Path, ...]) -> None:
    # A run that was gone on with meanwhile has had its own end.
    if client.get_run(run_id).info.status == RunStatus.to_string(RunStatus.RUNNING):
        client.set_terminated(run_id, content["status"], content["time"])
        client.set_terminated(content["parent"], content["status"], content["time"])


SENDERS: dict[str, Callable[[MlflowClient, str, Mapping[str, Any], tuple[Path, ...]], None]] = {
    "metrics": _send_metrics,
    "tags": _send_tags,
    "data": _send_data,
    "files": _send_files,
    "model": _send_model,
    "ended": _send_ended,
}
