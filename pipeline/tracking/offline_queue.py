"""What a run has to log goes to the store at once, or waits in a folder while the server is away."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import mlflow
from tqdm import tqdm

from pipeline.errors import StorageError, TrackingError
from pipeline.files.atomic import storage_error
from pipeline.files.io import read_json, write_json
from pipeline.locks import exclusive
from pipeline.tracking import entries, execution
from pipeline.tracking.bucket import is_of_a_bucket
from pipeline.tracking.entries import Entry, logged_metrics
from pipeline.tracking.store import FAILURES, address, is_unreachable, short_timeouts

UNSENT = "mlflow-unsent"
"""The folder, in the project, of what no server has taken yet: a folder for each run, by its id."""

PATIENCE = 60.0
"""Seconds that the end of a stage waits, once, for a server that is away."""

PAUSE = 2.0
"""Seconds between two questions at the end of a stage. In training a tenth of the time is spent on them at most."""


class OfflineQueue:
    """Sends what one run has to log, in order. Where a server goes away it says so, and training goes on.

    What waits lies in ``folder``, from which it can be sent at any later time (``send_unsent``). ``name``: of the run,
    for people.
    """

    def __init__(self, run_id: str, name: str) -> None:
        self.folder = execution.store_root() / UNSENT / run_id
        self.waits = False
        self._run_id, self._name = run_id, name
        self._store = address()
        self._ask_next = 0.0
        self._lock = ExitStack()

    def forget(self) -> None:
        """Remove what was kept when this run was interrupted: a stage that goes on logs all of it again."""
        if self.folder.exists():
            with exclusive(self.folder):
                shutil.rmtree(self.folder)

    def put(self, entry: Entry) -> None:
        """Send ``entry``, or keep it behind those that wait.

        Raises:
            MlflowException, RequestException: the store refuses it. StorageError: it cannot be kept.
        """
        if not self.waits:
            try:
                entries.send(entry, self._run_id)
                return
            except FAILURES as error:
                if not is_unreachable(error):
                    raise
                self.keep(entry, error)
        else:
            self.keep(entry)
            if time.monotonic() >= self._ask_next:
                self._flush()

    def keep(self, entry: Entry, error: Exception | None = None) -> None:
        """Put ``entry`` behind those that wait. error: why, where it is the first one.

        Raises:
            StorageError: it cannot be written.
        """
        if not self.waits:
            self._lock.enter_context(exclusive(self.folder))
            self.waits = True
            tqdm.write(
                f"{_who(error)} {self._store} does not answer since {datetime.now():%H:%M:%S} ({_reason(error)}). The "
                f"stage goes on; what it has to log waits in {self.folder}, and goes to the server when it is back"
            )
        try:
            note = self.folder / "run.json"
            if not note.exists():
                write_json(note, {"store": self._store, "run": self._name})
            waiting = _waiting(self.folder)
            entry.keep(self.folder / f"{int(waiting[-1].stem) + 1 if waiting else 1:06}")
        except OSError as full:
            raise storage_error(self.folder, full) from full

    def close(self, patience: float) -> None:
        """Send what waits; a server that is still away is waited for once, ``patience`` seconds. What stays is named.

        Raises:
            MlflowException, RequestException: the store refuses an entry; it stays in the folder.
        """
        with self._lock:
            if self.waits and patience and not self._flush():
                tqdm.write(f"MLflow server {self._store} is still away: waiting {patience:.0f} seconds for it, once")
                until = time.monotonic() + patience
                while time.monotonic() < until and not self._flush():
                    time.sleep(min(PAUSE, patience))
            if self.waits:
                tqdm.write(
                    f"MLflow server {self._store} has not taken all that {self._name} had to log: "
                    f"{len(_waiting(self.folder))} entries are kept in {self.folder}. When it is back: pocan send"
                )

    def _flush(self) -> bool:
        """Try to send all that waits; returns whether all of it went."""
        began = time.monotonic()
        try:
            count = send_folder(self.folder)
        except FAILURES as error:
            if not is_unreachable(error):
                raise
            now = time.monotonic()
            self._ask_next = now + max(PAUSE, 9 * (now - began))
            return False
        self._lock.pop_all().close()
        self.waits = False
        tqdm.write(f"MLflow server {self._store} is back: {count} entries that waited are logged")
        return True


def send_folder(folder: Path) -> int:
    """Log what waits in ``folder``, in order, to the store that is chosen, and remove it; returns how much it was.

    Raises:
        MlflowException, RequestException: the store does not answer, or refuses; what was not sent stays.
    """
    run_id = folder.name
    with short_timeouts():
        logged = logged_metrics(mlflow.get_run(run_id))
    waiting = _waiting(folder)
    for description in waiting:
        entries.send(Entry.kept(description).without(logged), run_id)
        description.unlink()
        shutil.rmtree(description.with_suffix(""), ignore_errors=True)
    shutil.rmtree(folder)
    return len(waiting)


def send_unsent() -> Iterator[str]:
    """Log what runs of this project could not log while their server was away; yields a line for each run.

    The server is the one of the run, or the one that MLFLOW_TRACKING_URI names, where it has moved. One run's fault
    does not keep the others' entries back, unless a server is away.

    Raises:
        TrackingError: a server does not answer, or refuses; a file is damaged; or a stage of that run is at work. Every
            fault is named.
    """
    named = os.environ.get("MLFLOW_TRACKING_URI")
    faults = []
    for note in sorted((execution.store_root() / UNSENT).glob("*/run.json")):
        try:
            line = _sent(note, named)
        except (TrackingError, StorageError) as error:
            faults.append(str(error))
            if error.__cause__ is not None and is_unreachable(error.__cause__):
                break  # it is mostly the others' server, too, and each question may take twenty seconds
        else:
            yield line
    if faults:
        raise TrackingError("\n".join(faults))


def _sent(note: Path, named: str | None) -> str:
    """Log what waits for one run, to the server ``named`` or else noted; returns what was done."""
    folder, (store, name) = note.parent, _noted(note)
    store = named or store
    try:
        mlflow.set_tracking_uri(store)
        with exclusive(folder):
            with short_timeouts():
                # A logged model goes to the experiment that is set, not to that of its run.
                mlflow.set_experiment(experiment_id=mlflow.get_run(folder.name).info.experiment_id)
            count = send_folder(folder)
    except FAILURES as error:
        raise TrackingError(
            f"{folder} could not be sent to {address()}: {_reason(error)}\n"
            "What was not sent is still there. Start the server, or name it in MLFLOW_TRACKING_URI, and send it "
            "again; where the run was deleted on the server, remove the folder"
        ) from error
    return f"{name} ({folder.name}): {count} entries logged to {address()}"


def mention_unsent() -> None:
    """Say, where earlier runs have left something to send, how to send it."""
    folder = execution.store_root() / UNSENT
    if count := len(list(folder.glob("*/run.json"))):
        tqdm.write(f"{folder}: what {count} earlier run(s) had to log still waits there; send it by: pocan send")


def _waiting(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.json"))


def _noted(note: Path) -> tuple[str, str]:
    """The store and the name of a run that has something to send.

    Raises:
        TrackingError: the file is damaged.
    """
    try:
        said = read_json(note)
        return said["store"], said["run"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrackingError(
            f"{note}: cannot be read ({(error.__cause__ or error)!r}); write "
            '{"store": "http://SERVER:5000", "run": "NAME"} into it, and send again'
        ) from error


def _who(error: Exception | None) -> str:
    """What of a server is away: its bucket may be alone."""
    cause = error.__cause__ if error is not None else None
    return "The bucket of MLflow server" if cause is not None and is_of_a_bucket(cause) else "MLflow server"


def _reason(error: Exception | None) -> str:
    """The innermost words of what a client has wrapped, which name the fault: "Connection refused"."""
    cause: BaseException | None = error
    while cause is not None and (cause.__cause__ or cause.__context__):
        cause = cause.__cause__ or cause.__context__
    return str(cause)
