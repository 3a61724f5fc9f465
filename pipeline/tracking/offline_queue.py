"""What a run logs goes to MLflow at once, or waits in a folder while the server does not answer."""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, LoggedModelStatus, Metric, Run, RunTag
from mlflow.models import Model
from mlflow.models.model import MLMODEL_FILE_NAME

from pipeline.errors import StorageError, TrackingError
from pipeline.files.atomic import storage_error, storage_errors
from pipeline.files.io import read_json, write_json
from pipeline.locks import exclusive
from pipeline.progress import say
from pipeline.tracking import execution, store

ALIAS = "newest"
"""Alias of the version of a registered model that was trained last ("latest" is reserved by MLflow)."""

UNSENT = "mlflow-unsent"
"""The folder, in the project, of what no server has taken yet: a folder for each run, by its id."""

PATIENCE = 60.0
"""Seconds that the end of a stage waits, once, for a server that does not answer."""

PAUSE = 2.0
"""Seconds between two attempts at the end of a stage. In training a tenth of the time is spent on them at most."""

Logged = AbstractSet[tuple[str, int]]
"""Name and step of every metric that a run has in the store."""


class OfflineQueue:
    """Sends what one run logs, in order. Where a server stops answering it says so, and training goes on.

    Attributes:
        folder: where entries wait; they can be sent from there at any later time (``send_unsent``).
        waiting: whether entries wait.
        logged: metrics that the run has from before, which are not logged again.
    """

    def __init__(self, run_id: str, name: str) -> None:
        self.folder = execution.store_root() / UNSENT / run_id
        self.waiting = False
        self.logged: Logged = frozenset()
        self._run_id, self._name, self._store = run_id, name, store.address()
        self._kept = 0
        self._next_attempt = 0.0
        self._lock = ExitStack()

    def discard(self) -> None:
        """Remove what was kept when this run was interrupted: a stage that goes on logs all of it again."""
        if self.folder.exists():
            with exclusive(self.folder):
                shutil.rmtree(self.folder)

    def put(
        self, kind: str, content: Mapping[str, Any], paths: Sequence[Path] = (), ahead: Callable[[], None] | None = None
    ) -> None:
        """Send an entry (see ``send``), or keep it behind those that wait.

        Args:
            kind: what it is.
            content: JSON values.
            paths: files, or a folder, that go along; no two have the same name.
            ahead: sends it before those that wait; left out: it is sent after them.

        Raises:
            MlflowException: the store refuses it (or another of ``store.failures``).
            StorageError: it cannot be kept.
        """
        if self.waiting and ahead is None:
            self._keep(kind, content, paths)
            if time.monotonic() >= self._next_attempt:
                self._flush()
            return
        try:
            ahead() if ahead else send(self._run_id, kind, content, paths, self.logged)
        except store.failures() as error:
            if not store.is_unreachable(error):
                raise
            if not self.waiting:
                self._begin_to_wait(error)
            self._keep(kind, content, paths)

    def close(self, patience: float) -> None:
        """Send what waits, for ``patience`` seconds where the server does not answer; what is left is named.

        Raises:
            MlflowException: the store refuses an entry (or another of ``store.failures``); it stays in the folder.
        """
        with self._lock:
            if self.waiting and patience and not self._flush():
                say(f"MLflow server {self._store} still does not answer: waiting {patience:.0f} seconds for it, once")
                until = time.monotonic() + patience
                while time.monotonic() < until and not self._flush():
                    time.sleep(min(PAUSE, patience))
            if self.waiting:
                say(
                    f"MLflow server {self._store} has not taken all that {self._name} had to log: "
                    f"{len(_kept_in(self.folder))} entries are kept in {self.folder}. When it is back: pocan send"
                )

    def _begin_to_wait(self, error: Exception) -> None:
        self._lock.enter_context(exclusive(self.folder))
        self.waiting, self._kept = True, 0
        server = "The bucket of MLflow server" if store.is_bucket_error(error) else "MLflow server"
        say(
            f"{server} {self._store} does not answer since {datetime.now():%H:%M:%S} ({store.innermost(error)}). The "
            f"stage goes on; what it has to log waits in {self.folder}, and goes to the server when it is back"
        )
        write_json(self.folder / "run.json", {"store": self._store, "run": self._name})

    def _keep(self, kind: str, content: Mapping[str, Any], paths: Sequence[Path]) -> None:
        """Write an entry as a file NUMBER.json, after copies of its files in the folder NUMBER."""
        self._kept += 1
        place = self.folder / f"{self._kept:06}"
        with storage_errors(self.folder):
            for path in paths:
                place.mkdir(exist_ok=True)
                (shutil.copytree if path.is_dir() else shutil.copyfile)(path, place / path.name)
            entry = {"kind": kind, "content": content, "paths": [path.name for path in paths]}
            write_json(place.with_suffix(".json"), entry)

    def _flush(self) -> bool:
        """Try to send all that waits; returns whether all of it went."""
        began = time.monotonic()
        try:
            count = _send_folder(self.folder)
        except store.failures() as error:
            if not store.is_unreachable(error):
                raise
            self._next_attempt = time.monotonic() + max(PAUSE, 9 * (time.monotonic() - began))
            return False
        self._lock.pop_all().close()
        self.waiting = False
        say(f"MLflow server {self._store} is back: {count} entries that waited are logged")
        return True


def mention_unsent() -> None:
    """Say, where earlier runs have left something to send, how to send it."""
    if count := len(_folders_kept()):
        folder = execution.store_root() / UNSENT
        say(f"{folder}: what {count} earlier run(s) had to log still waits there; send it by: pocan send")


def send_unsent() -> Iterator[str]:
    """Log what runs of this project could not log while their server did not answer.

    The server is the one of the run, or the one that MLFLOW_TRACKING_URI names, where it has moved. One run's fault
    does not keep the others' entries back, unless a server does not answer.

    Yields:
        A line for each run.

    Raises:
        TrackingError: a server does not answer, or refuses; a file is damaged; or a stage of that run is at work. Every
            fault is named.
    """
    moved_to = os.environ.get("MLFLOW_TRACKING_URI")
    faults = []
    for folder in _folders_kept():
        try:
            uri, name = _read(folder / "run.json", 'write {"store": "http://SERVER:5000", "run": "NAME"} into it')
            mlflow.set_tracking_uri(moved_to or uri)
            with exclusive(folder):
                count = _send_folder(folder)
        except (TrackingError, StorageError) as error:
            faults.append(str(error))
        except store.failures() as error:
            faults.append(
                f"{folder} could not be sent to {store.address()}: {store.innermost(error)}\n"
                "What was not sent is still there. Start the server, or name it in MLFLOW_TRACKING_URI, and send it "
                "again; where the run was deleted on the server, remove the folder"
            )
            if store.is_unreachable(error):
                break  # it is mostly the others' server, too, and each attempt may take twenty seconds
        else:
            yield f"{name} ({folder.name}): {count} entries logged to {store.address()}"
    if faults:
        raise TrackingError("\n".join(faults))


def logged_metrics(run: Run) -> Logged:
    """Name and step of every metric that the run has in the store."""
    client = MlflowClient()
    return {(m.key, m.step) for key in run.data.metrics for m in client.get_metric_history(run.info.run_id, key)}


def now() -> int:
    """Milliseconds since 1970, as MLflow counts."""
    return time.time_ns() // 1_000_000


def _folders_kept() -> list[Path]:
    return sorted(note.parent for note in (execution.store_root() / UNSENT).glob("*/run.json"))


def _kept_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.json"))


def _send_folder(folder: Path) -> int:
    """Log what waits in ``folder``, in order, to the store that is chosen, and remove it; returns how much it was."""
    run_id, kept = folder.name, _kept_in(folder)
    with store.short_timeouts():  # whether the last request arrived is not known
        logged = logged_metrics(mlflow.get_run(run_id))
    for path in kept:
        kind, content, names = _read(path, "remove this file")
        send(run_id, kind, content, [path.with_suffix("") / name for name in names], logged)
        path.unlink()
    shutil.rmtree(folder)
    return len(kept)


def _read(path: Path, advice: str) -> list[Any]:
    """The values of a file that was kept, in order.

    Raises:
        TrackingError: it is damaged.
    """
    keys = ("store", "run") if path.name == "run.json" else ("kind", "content", "paths")
    try:
        content = read_json(path)
        return [content[key] for key in keys]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrackingError(
            f"{path}: cannot be read ({(error.__cause__ or error)!r}); {advice}, and send again"
        ) from error


def send(
    run_id: str, kind: str, content: Mapping[str, Any], paths: Sequence[Path] = (), logged: Logged = frozenset()
) -> None:
    """Log one entry.

    Args:
        run_id: of the run.
        kind: metrics, tags, data, files, model or ended; comments below say what the content of each is.
        content: JSON values.
        paths: files, or a folder, that go along.
        logged: metrics that the run has, which are left out.

    Raises:
        MlflowException: the server, or its bucket, does not answer, or refuses (or another of ``store.failures``).
        StorageError: the folder of the run's files cannot be written.
    """
    client, place = MlflowClient(), ""
    if paths:
        store.mend_places()  # another process may have used the project by another path, as a container's, meanwhile
        # A dead one would cost minutes where a file is sent, and MLflow would keep a failed model of every attempt.
        with store.short_timeouts():
            place = str(client.get_run(run_id).info.artifact_uri)
            store.require_bucket(place)
    with store.short_timeouts(None if paths else store.QUICK), _place_named(place):
        match kind:
            case "metrics":  # of one step: values, step, time
                step, moment = content["step"], content["time"]
                values = {key: value for key, value in content["values"].items() if (key, step) not in logged}
                client.log_batch(run_id, metrics=[Metric(key, value, moment, step) for key, value in values.items()])
            case "tags":
                client.log_batch(run_id, tags=[RunTag(key, value) for key, value in content.items()])
            case "data":  # an input of the run: dataset (``Dataset.to_dict``), tags
                tags = [InputTag(key, value) for key, value in content["tags"].items()]
                client.log_inputs(run_id, datasets=[DatasetInput(Dataset(**content["dataset"]), tags)])
            case "files":  # folder, below which they go, or None
                for path in paths:
                    client.log_artifact(run_id, str(path), content["folder"])
            case "model":  # that MLflow has saved in a folder: registered_name (or None), time
                _send_model(client, run_id, paths[0], content["registered_name"], content["time"])
            case "ended":  # the run, and for now its parent: status, time, parent (its id)
                # A run that was gone on with meanwhile has had its own end.
                if client.get_run(run_id).info.status == "RUNNING":
                    for ended in (run_id, content["parent"]):
                        client.set_terminated(ended, content["status"], content["time"])


@contextmanager
def _place_named(place: str) -> Iterator[None]:
    """Name the folder of a run's files where it cannot be written: the system names the file that is copied, or none.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        yield
    except OSError as error:  # as requests' are, too
        parts = urlsplit(place)
        if isinstance(error, store.failures()) or not place or parts.scheme not in ("", "file"):
            raise
        raise storage_error(unquote(parts.path) if parts.scheme else place, error) from error


def _send_model(client: MlflowClient, run_id: str, folder: Path, name: str | None, moment: int) -> None:
    run = client.get_run(run_id)
    logged = client.create_logged_model(run.info.experiment_id, "model", run_id, params=run.data.params)
    saved = Model.load(str(folder))
    saved.model_id = saved.model_uuid = logged.model_id
    saved.run_id, saved.artifact_path = run_id, logged.artifact_location
    saved.save(str(folder / MLMODEL_FILE_NAME))
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    if name:
        version = mlflow.register_model(f"models:/{logged.model_id}", name).version
        if not _trained_later(client, name, moment):
            client.set_registered_model_alias(name, ALIAS, version)


def _trained_later(client: MlflowClient, name: str, moment: int) -> bool:
    """Whether the newest version so far is of a run that ended after ``moment``: this one was sent late."""
    newest = client.get_registered_model(name).aliases.get(ALIAS)
    run_id = client.get_model_version(name, newest).run_id if newest else None
    return run_id is not None and (client.get_run(run_id).info.end_time or 0) > moment
