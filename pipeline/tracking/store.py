"""The MLflow store: a SQLite file in the project, or the server that MLFLOW_TRACKING_URI names."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

# MLflow reads these when it is imported: a run must not talk to anyone the user has not named, what a model needs is
# named where it is logged, and a bar for every file that goes to or comes from the store would fill a log.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
from filelock import FileLock
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from requests import HTTPError, RequestException

from pipeline.errors import TrackingError
from pipeline.tracking import bucket, complaints, execution
from pipeline.tracking.complaints import told
from pipeline.tracking.database import await_maker, fault, remove_beside

DATABASE = "mlflow.db"

SQLITE = "sqlite:///"

QUICK = 10
"""Seconds within which a server answers what is no file."""

FAILURES = MlflowException, RequestException
"""What MLflow's client raises for itself and for its transport."""

complaints.silence()


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
        with impatient():
            if own:
                _create(root / DATABASE)
            if uri.startswith(SQLITE):
                # Two stages that start at once must not both make the experiment.
                with FileLock(root / f"{DATABASE}.lock"):
                    await_maker(_database(uri))
                    opened = _open(experiment, root)
            else:
                opened = _open(experiment, None)
    except Exception as error:  # the client raises requests', SQLAlchemy's and its own errors, by store
        elsewhere = "Start the server, or correct or unset MLFLOW_TRACKING_URI"
        here = f"Make room for {DATABASE}, change its permissions, or name another store with MLFLOW_TRACKING_URI"
        if wrong := wrong_with_store():
            raise TrackingError(f"{wrong}\nNothing was trained") from error
        raise TrackingError(
            f"MLflow store {address()} cannot be used: {told(error)}\n"
            f"Nothing was trained. {here if own else elsewhere}; an experiment that was deleted must be restored first"
        ) from error
    _require_bucket(str(opened.artifact_location))
    return str(opened.experiment_id)


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
def answering() -> Iterator[None]:
    """Report a store that fails in the middle of a stage as what it is.

    Raises:
        TrackingError: MLflow's client or its transport raised.
    """
    try:
        yield
    except FAILURES as error:
        raise TrackingError(
            f"MLflow store {address()} failed: {wrong_with_store() or told(error)}\n"
            "Training is kept up to its last epoch: see to the store and run the same command again"
        ) from error


def wrong_with_store() -> str | None:
    """What is wrong with the chosen store, where it is a SQLite file that is itself at fault, and the way out."""
    uri = mlflow.get_tracking_uri()
    database = _database(uri)
    return fault(database) if uri.startswith(SQLITE) and database.is_file() else None


def _require_bucket(location: str) -> None:
    """Prove, before anything is trained, that a bucket answers where files go into one.

    Raises:
        TrackingError: it cannot.
    """
    try:
        with impatient():
            bucket.ask(location)
    except FAILURES as error:
        raise TrackingError(
            f"MLflow server {address()} has its clients write to {location} themselves, and this cannot be used: "
            f"{told(error)}\nNothing was trained. See to the bucket and to what leads there (MLFLOW_S3_ENDPOINT_URL, "
            "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), or start the server as docs/team.md does"
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
        remove_beside(making)
        client = mlflow.MlflowClient(f"sqlite:///{making}", registry_uri=f"sqlite:///{making}")
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)
        remove_beside(database)
        making.replace(database)


def _open(experiment: str, root: Path | None) -> Experiment:
    """The experiment; where it is new, its artifacts go below ``root``, or where the server keeps them."""
    if root is not None and mlflow.get_experiment_by_name(experiment) is None:
        mlflow.create_experiment(experiment, artifact_location=(root / "mlruns").as_uri())
    return mlflow.set_experiment(experiment)


@contextmanager
def impatient(seconds: int | None = QUICK) -> Iterator[None]:
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


def is_away(error: BaseException) -> bool:
    """Whether ``error`` says that a server does not answer, and not that it refuses what it was asked."""
    if isinstance(error, MlflowException):
        # MLflow's client wraps what its transport raised, also where a server went on saying 429, 500, 502, 503 or 504.
        cause = error.__cause__ or error.__context__
        if cause is not None and bucket.is_of_a_bucket(cause):
            return bucket.is_away(cause)
        return isinstance(cause, RequestException) and is_away(cause)
    refused = isinstance(error, HTTPError) and error.response is not None and error.response.status_code < 500
    return isinstance(error, RequestException) and not refused
