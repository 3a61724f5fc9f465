"""The MLflow store: a SQLite file in the project, or the server that MLFLOW_TRACKING_URI names."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import mlflow
from filelock import FileLock
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from requests import HTTPError, RequestException

from pipeline.errors import TrackingError
from pipeline.tracking import bucket, execution
from pipeline.tracking.database import find_fault, remove_side_files, wait_for_maker

DATABASE = "mlflow.db"

SQLITE = "sqlite:///"

QUICK = 10
"""Seconds within which a server answers what is no file."""

FAILURES = MlflowException, RequestException
"""What MLflow's client raises for itself and for its transport."""

# What MLflow raises is reported by this project; MLflow would print a traceback of it before.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL + 1)


def connect(experiment: str) -> str:
    """Choose the store, open the experiment and return its id.

    This proves that the store answers, and its bucket where it has one, and soon: MLflow's own retries would wait for
    minutes.

    Raises:
        TrackingError: it does not, or the experiment was deleted.
    """
    root = execution.store_root()
    own = choose()
    uri = mlflow.get_tracking_uri()
    try:
        with short_timeouts():
            if own:
                _create(root / DATABASE)
            if uri.startswith(SQLITE):
                # Two stages that start at once must not both make the experiment.
                with FileLock(root / f"{DATABASE}.lock"):
                    wait_for_maker(_database(uri))
                    opened = _open(experiment, root)
            else:
                opened = _open(experiment, None)
    except Exception as error:  # the client raises requests', SQLAlchemy's and its own errors, by store
        elsewhere = "Start the server, or correct or unset MLFLOW_TRACKING_URI"
        here = f"Make room for {DATABASE}, change its permissions, or name another store with MLFLOW_TRACKING_URI"
        if wrong := store_fault():
            raise TrackingError(f"{wrong}\nNothing was trained") from error
        raise TrackingError(
            f"MLflow store {address()} cannot be used: {short_message(error)}\n"
            f"Nothing was trained. {here if own else elsewhere}; an experiment that was deleted must be restored first"
        ) from error
    _require_bucket(str(opened.artifact_location))
    return str(opened.experiment_id)


def short_message(error: BaseException) -> str:
    """What a person needs of an error: SQLAlchemy's has the statement and a page of its parameters behind it."""
    lines = str(error).partition("\n[SQL:")[0].splitlines()
    return "\n".join(line for line in lines if not line.startswith("(raised as a result of Query-invoked autoflush"))


def address() -> str:
    """The store that is used, for messages and notes: without the name and password that a server's may have."""
    uri = mlflow.get_tracking_uri()
    parts = urlsplit(uri)
    return uri if "@" not in parts.netloc else urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def choose() -> bool:
    """Make the store the one that is used; returns whether it is the project's own and not a server's or another."""
    own = not os.environ.get("MLFLOW_TRACKING_URI")
    if own:
        mlflow.set_tracking_uri(f"sqlite:///{execution.store_root() / DATABASE}")
    return own


@contextmanager
def store_errors() -> Iterator[None]:
    """Report a store that fails in the middle of a stage as what it is.

    Raises:
        TrackingError: MLflow's client or its transport raised.
    """
    try:
        yield
    except FAILURES as error:
        raise TrackingError(
            f"MLflow store {address()} failed: {store_fault() or short_message(error)}\n"
            "Training is kept up to its last epoch: see to the store and run the same command again"
        ) from error


def store_fault() -> str | None:
    """What is wrong with the chosen store, where it is a SQLite file that is itself at fault, and the way out."""
    uri = mlflow.get_tracking_uri()
    database = _database(uri)
    return find_fault(database) if uri.startswith(SQLITE) and database.is_file() else None


def _require_bucket(location: str) -> None:
    """Prove, before anything is trained, that a bucket answers where files go into one.

    Raises:
        TrackingError: it cannot.
    """
    try:
        with short_timeouts():
            bucket.ask(location)
    except FAILURES as error:
        raise TrackingError(
            f"MLflow server {address()} has its clients write to {location} themselves, and this cannot be used: "
            f"{short_message(error)}\nNothing was trained. See to the bucket and to what leads there (MLFLOW_S3_"
            "ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), or start the server as docs/team.md does"
        ) from error


def _database(uri: str) -> Path:
    return Path(uri.removeprefix(SQLITE))


def _create(database: Path) -> None:
    """Make the database where there is none: aside and all at once, for one process of those that ask.

    MLflow makes its tables step by step; two processes at it spoil them, and one that is killed leaves half of them.
    """
    with FileLock(database.with_name(f"{database.name}.lock")):
        if database.exists():
            return
        making = database.with_name(f".{database.name}.making")
        making.unlink(missing_ok=True)  # of a process that was killed
        remove_side_files(making)
        client = mlflow.MlflowClient(f"sqlite:///{making}", registry_uri=f"sqlite:///{making}")
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)
        remove_side_files(database)
        making.replace(database)


def _open(experiment: str, root: Path | None) -> Experiment:
    """The experiment; where it is new, its artifacts go below ``root``, or where the server keeps them."""
    if root is not None and mlflow.get_experiment_by_name(experiment) is None:
        mlflow.create_experiment(experiment, artifact_location=(root / "mlruns").as_uri())
    return mlflow.set_experiment(experiment)


@contextmanager
def short_timeouts(seconds: int | None = QUICK) -> Iterator[None]:
    """MLflow's client asks twice at once, and waits ``seconds`` for an answer, unless the user has said otherwise.

    Left alone it asks eight times in four minutes and says nothing. seconds: None for MLflow's own two minutes. The
    client of a bucket asks twice, too, and waits its own minute.
    """
    attempts = os.environ.get("AWS_MAX_ATTEMPTS", "2")
    patience = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "AWS_MAX_ATTEMPTS": attempts}
    if seconds is not None and "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ:
        patience["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(seconds)
    before = {key: os.environ.get(key) for key in patience}
    os.environ.update(patience)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


def is_unreachable(error: BaseException) -> bool:
    """Whether ``error`` says that a server does not answer, and not that it refuses what it was asked."""
    if isinstance(error, MlflowException):
        # MLflow's client wraps what its transport raised, also where a server went on saying 429, 500, 502, 503 or 504.
        cause = error.__cause__ or error.__context__
        if cause is not None and bucket.is_of_a_bucket(cause):
            return bucket.is_unreachable(cause)
        return isinstance(cause, RequestException) and is_unreachable(cause)
    refused = isinstance(error, HTTPError) and error.response is not None and error.response.status_code < 500
    return isinstance(error, RequestException) and not refused
