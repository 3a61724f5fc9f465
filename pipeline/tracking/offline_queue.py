"""Logging to MLflow that survives an outage: while the server does not answer, entries wait in a folder."""

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
"""Alias of the most recently trained version of a registered model (MLflow reserves "latest")."""

UNSENT = "mlflow-unsent"
"""The folder in the project with entries that have not been sent: one sub-folder per run, named by its ID."""

PATIENCE = 60.0
"""Maximum waiting time, in seconds, for an unavailable server at the end of a stage."""

PAUSE = 2.0
"""Seconds between two attempts at the end of a stage. During training, attempts take at most a tenth of the time."""

Logged = AbstractSet[tuple[str, int]]
"""Names and steps of the metrics that are already in the store."""


class OfflineQueue:
    """Sends the entries of one run in order. If the server stops answering, it prints a message and keeps them.

    Attributes:
        folder: folder of waiting entries, from which they can be sent at any later time (``send_unsent``).
        waiting: whether entries are waiting.
        logged: metrics that are already in the store and are not logged again.
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
        """Delete waiting entries from an interrupted execution of this run: the resumed stage logs them again."""
        if self.folder.exists():
            with exclusive(self.folder):
                shutil.rmtree(self.folder)

    def put(
        self, kind: str, content: Mapping[str, Any], paths: Sequence[Path] = (), ahead: Callable[[], None] | None = None
    ) -> None:
        """Send an entry (see ``send``), or append it to the waiting ones.

        Args:
            kind: kind of the entry.
            content: JSON values.
            paths: files or a folder to send with it; their names must differ.
            ahead: a function that sends the entry before the waiting ones; None: send it after them.

        Raises:
            MlflowException: the store rejects it (also another of ``store.failures``).
            StorageError: it cannot be written to disk.
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
        """Send the waiting entries; try for ``patience`` seconds, and print a message if some remain.

        Raises:
            MlflowException: the store rejects an entry (also another of ``store.failures``), which remains on disk.
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
        """Copy the entry's files to the folder NUMBER, then write the entry as NUMBER.json."""
        self._kept += 1
        place = self.folder / f"{self._kept:06}"
        with storage_errors(self.folder):
            for path in paths:
                place.mkdir(exist_ok=True)
                (shutil.copytree if path.is_dir() else shutil.copyfile)(path, place / path.name)
            entry = {"kind": kind, "content": content, "paths": [path.name for path in paths]}
            write_json(place.with_suffix(".json"), entry)

    def _flush(self) -> bool:
        """Try to send all waiting entries; return whether all were sent."""
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
    """If entries of earlier runs are waiting, print how to send them."""
    if count := len(_folders_kept()):
        folder = execution.store_root() / UNSENT
        say(f"{folder}: what {count} earlier run(s) had to log still waits there; send it by: pocan send")


def send_unsent() -> Iterator[str]:
    """Send all waiting entries of this project's runs.

    They go to the server of the run, or to the one in MLFLOW_TRACKING_URI, if it has moved. After a fault of one run
    the others are still sent, unless a server does not answer.

    Yields:
        One line per run.

    Raises:
        TrackingError: a server does not answer or rejects an entry, a file is damaged, or a stage of a run is still
            running. All faults are listed.
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
                break  # the others usually have the same server, and each attempt may take twenty seconds
        else:
            yield f"{name} ({folder.name}): {count} entries logged to {store.address()}"
    if faults:
        raise TrackingError("\n".join(faults))


def logged_metrics(run: Run) -> Logged:
    """Return names and steps of the metrics that the run has in the store."""
    client = MlflowClient()
    return {(m.key, m.step) for key in run.data.metrics for m in client.get_metric_history(run.info.run_id, key)}


def now() -> int:
    """Return the time in milliseconds since 1970, MLflow's unit."""
    return time.time_ns() // 1_000_000


def _folders_kept() -> list[Path]:
    return sorted(note.parent for note in (execution.store_root() / UNSENT).glob("*/run.json"))


def _kept_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.json"))


def _send_folder(folder: Path) -> int:
    """Send the entries in ``folder`` in order to the current store, and delete them; return their number."""
    run_id, kept = folder.name, _kept_in(folder)
    with store.short_timeouts():  # the last request may have arrived without an answer
        logged = logged_metrics(mlflow.get_run(run_id))
    for path in kept:
        kind, content, names = _read(path, "remove this file")
        send(run_id, kind, content, [path.with_suffix("") / name for name in names], logged)
        path.unlink()
    shutil.rmtree(folder)
    return len(kept)


def _read(path: Path, advice: str) -> list[Any]:
    """Return the values of a waiting entry's file, in order.

    Raises:
        TrackingError: the file is damaged.
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
        run_id: ID of the run.
        kind: metrics, tags, data, files, model or ended; comments below describe the content of each.
        content: JSON values.
        paths: files or a folder to send.
        logged: metrics that are already in the store and are not sent.

    Raises:
        MlflowException: the server or its bucket does not answer, or rejects the entry (also another of
            ``store.failures``).
        StorageError: the run's artifact folder cannot be written.
    """
    client, place = MlflowClient(), ""
    if paths:
        store.mend_places()  # meanwhile another process may have used the project by another path, as in a container
        # Check the bucket first: sending to a dead one takes minutes, and each attempt would leave a failed model.
        with store.short_timeouts():
            place = str(client.get_run(run_id).info.artifact_uri)
            store.require_bucket(place)
    with store.short_timeouts(None if paths else store.QUICK), _place_named(place):
        match kind:
            case "metrics":  # values of one step: values, step, time
                step, moment = content["step"], content["time"]
                values = {key: value for key, value in content["values"].items() if (key, step) not in logged}
                client.log_batch(run_id, metrics=[Metric(key, value, moment, step) for key, value in values.items()])
            case "tags":
                client.log_batch(run_id, tags=[RunTag(key, value) for key, value in content.items()])
            case "data":  # an input of the run: dataset (``Dataset.to_dict``), tags
                tags = [InputTag(key, value) for key, value in content["tags"].items()]
                client.log_inputs(run_id, datasets=[DatasetInput(Dataset(**content["dataset"]), tags)])
            case "files":  # folder among the artifacts, or None
                for path in paths:
                    client.log_artifact(run_id, str(path), content["folder"])
            case "model":  # a model folder saved by MLflow: registered_name (or None), time
                _send_model(client, run_id, paths[0], content["registered_name"], content["time"])
            case "ended":  # end of the run and its parent: status, time, parent (ID)
                # If the run was resumed meanwhile, it has already ended.
                if client.get_run(run_id).info.status == "RUNNING":
                    for ended in (run_id, content["parent"]):
                        client.set_terminated(ended, content["status"], content["time"])


@contextmanager
def _place_named(place: str) -> Iterator[None]:
    """Name the artifact folder in errors of the system, which name the copied file or nothing.

    Raises:
        StorageError: the folder cannot be written.
    """
    try:
        yield
    except OSError as error:  # exceptions of requests are OSErrors as well
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
    """Return whether the current newest version is of a run that ended after ``moment``."""
    newest = client.get_registered_model(name).aliases.get(ALIAS)
    run_id = client.get_model_version(name, newest).run_id if newest else None
    return run_id is not None and (client.get_run(run_id).info.end_time or 0) > moment
