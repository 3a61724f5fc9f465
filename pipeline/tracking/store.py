"""The MLflow store: a SQLite file in the project, or the server that MLFLOW_TRACKING_URI names."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import mlflow
from filelock import FileLock
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED, ErrorCode
from requests import HTTPError, RequestException

from pipeline.errors import TrackingError
from pipeline.files.names import as_text
from pipeline.tracking import execution, places
from pipeline.tracking.database import find_fault, remove_side_files, wait_for_maker
from pipeline.tracking.descriptions import experiment_tags

DATABASE = "mlflow.db"

SQLITE = "sqlite:///"

QUICK = 10
"""Seconds that a server gets to answer a request that carries no file."""

BUCKET_LIBRARIES = "boto3", "botocore", "s3transfer"
"""What MLflow writes to a bucket with where a server does not pass files through; their errors come out as they are."""

# What MLflow raises is reported by this project; MLflow would print a traceback of it before.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL + 1)


def connect(experiment: str) -> str:
    """Choose the store and open the experiment.

    This proves that the store answers, and its bucket where it has one, and soon: MLflow's own retries would wait for
    minutes.

    Args:
        experiment: its name; where there is none, it is made.

    Returns:
        The experiment's id.

    Raises:
        TrackingError: the store or its bucket does not answer, or the experiment was deleted.
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
    location = str(opened.artifact_location)
    try:
        with short_timeouts():
            require_bucket(location)
    except failures() as error:
        raise TrackingError(
            f"MLflow server {address()} has its clients write to {location} themselves, and this cannot be used: "
            f"{short_message(error)}\nNothing was trained. See to the bucket and to what leads there (MLFLOW_S3_"
            "ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), or start the server as docs/team.md does"
        ) from error
    return str(opened.experiment_id)


def short_message(error: BaseException) -> str:
    """The part of an error's message that helps: SQLAlchemy puts the statement and a page of parameters behind it."""
    lines = str(error).partition("\n[SQL:")[0].splitlines()
    return "\n".join(line for line in lines if not line.startswith("(raised as a result of Query-invoked autoflush"))


def address() -> str:
    """Where the store is, for messages and notes: without the name and password that a server's URI may have."""
    uri = mlflow.get_tracking_uri()
    parts = urlsplit(uri)
    return uri if "@" not in parts.netloc else urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def choose() -> bool:
    """Make MLflow use the store that MLFLOW_TRACKING_URI names, or else the project's own.

    Returns:
        Whether it is the project's own.

    Raises:
        TrackingError: the project was moved, and its store cannot be written to note that; or no store can lie there.
    """
    # MLflow keeps what it was told in the same variable, where this process finds it the next time.
    own = os.environ.get("MLFLOW_TRACKING_URI", "") in ("", _own())
    if own:
        _require_address(execution.store_root())
        mlflow.set_tracking_uri(_own())
        mend_places()
    return own


def mend_places() -> None:
    """Let the project's own store, where it is the chosen one, lead to the files of this project (``places.mend``).

    Raises:
        TrackingError: the project was moved, and its store cannot be written to note that.
    """
    if mlflow.get_tracking_uri() == _own():
        places.mend(execution.store_root() / DATABASE)


def identity() -> str:
    """What the store is called in notes: the project's own has one name wherever the project is moved to."""
    return DATABASE if mlflow.get_tracking_uri() == _own() else address()


@contextmanager
def store_errors() -> Iterator[None]:
    """Report a store that fails in the middle of a stage as one message.

    Raises:
        TrackingError: what is run within raised one of ``failures``.
    """
    try:
        yield
    except failures() as error:
        raise TrackingError(
            f"MLflow store {address()} failed: {store_fault() or short_message(error)}\n"
            "Training is kept up to its last epoch: see to the store and run the same command again"
        ) from error


def store_fault() -> str | None:
    """What is wrong with the chosen store and what to do, where it is a SQLite file that is itself at fault."""
    uri = mlflow.get_tracking_uri()
    database = _database(uri)
    return find_fault(database) if uri.startswith(SQLITE) and database.is_file() else None


def require_bucket(location: str) -> None:
    """Prove that the bucket of ``location`` answers, and knows these keys; any other location is passed over.

    Raises:
        MlflowException: it does not (or another of ``failures``), or boto3 is not installed.
    """
    if not location.startswith("s3://"):
        return
    try:
        mlflow.artifacts.list_artifacts(artifact_uri=location)
    except ModuleNotFoundError as error:
        if error.name not in BUCKET_LIBRARIES:
            raise
        raise MlflowException(f"{error.name} is not installed: pip install 'pocan[s3]'") from error
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(PERMISSION_DENIED):  # who may write need not be allowed to list
            raise


def _own() -> str:
    """The URI of the project's own store."""
    return f"{SQLITE}{execution.store_root() / DATABASE}"


def _require_address(folder: Path) -> None:
    """Refuse a folder that an address cannot name: MLflow reads it in one place as it stands, in another decoded.

    Raises:
        TrackingError: its path has ``?``, or ``%`` with two digits behind it.
    """
    if _database(f"{SQLITE}{folder}") != folder:
        raise TrackingError(
            f"{as_text(folder)}: MLflow finds no store in a folder whose path has ? or %20 and the like; move or "
            f"rename the folder, or name a store elsewhere: MLFLOW_TRACKING_URI={SQLITE}/FOLDER/{DATABASE}"
        )


def _database(uri: str) -> Path:
    """The file of a SQLite store; what may follow it is for the driver."""
    return Path(unquote(uri.removeprefix(SQLITE).partition("?")[0]))


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
        try:
            client = mlflow.MlflowClient(f"sqlite:///{making}", registry_uri=f"sqlite:///{making}")
            client.search_experiments(max_results=1)
            client.search_registered_models(max_results=1)
            remove_side_files(database)
            making.replace(database)
        finally:
            making.unlink(missing_ok=True)
            remove_side_files(making)


def _open(experiment: str, root: Path | None) -> Experiment:
    """The experiment; where it is new, its artifacts go below ``root``, or where the server keeps them."""
    if root is not None and mlflow.get_experiment_by_name(experiment) is None:
        mlflow.create_experiment(experiment, artifact_location=(root / places.FILES).as_uri())
    opened = mlflow.set_experiment(experiment)
    for key, value in experiment_tags().items():
        if key not in opened.tags:  # what the user has chosen since then stays
            mlflow.MlflowClient().set_experiment_tag(opened.experiment_id, key, value)
    return opened


@contextmanager
def short_timeouts(seconds: int | None = QUICK) -> Iterator[None]:
    """Within, MLflow's client asks only twice and waits ``seconds`` for an answer, unless the user has set these.

    By default it asks eight times in four minutes and says nothing. A bucket's client asks twice, too, and waits its
    own minute.

    Args:
        seconds: for one answer; None: MLflow's own two minutes.
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


def failures() -> tuple[type[Exception], ...]:
    """What MLflow's client raises for itself, for its transport and, once it has loaded boto3, for a bucket."""
    if not sys.modules.get("boto3"):
        return MlflowException, RequestException
    from boto3.exceptions import Boto3Error  # type: ignore[import-untyped]
    from botocore.exceptions import BotoCoreError, ClientError

    return MlflowException, RequestException, Boto3Error, BotoCoreError, ClientError


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and so on: MLflow and boto3 wrap what their transport raises."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def innermost(error: BaseException) -> BaseException:
    """What clients have wrapped, which names the fault: "Connection refused"."""
    *_, cause = _causes(error)
    return cause


def is_bucket_error(error: BaseException) -> bool:
    """Whether a bucket's client raised it, or what it was raised from."""
    return any(type(cause).__module__.partition(".")[0] in BUCKET_LIBRARIES for cause in _causes(error))


def is_unreachable(error: BaseException) -> bool:
    """Whether a server, or a bucket, does not answer: ``error`` does not say that it refuses what it was asked."""
    for cause in _causes(error):
        if isinstance(cause, HTTPError) and cause.response is not None:
            return cause.response.status_code >= 500
        if isinstance(cause, RequestException):  # also where a server went on saying 429, 500, 502, 503 or 504
            return True
        if is_bucket_error(cause):
            from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

            if isinstance(cause, ClientError):
                return bool(cause.response["ResponseMetadata"]["HTTPStatusCode"] >= 500)
            if isinstance(cause, ConnectionError | HTTPClientError):
                return True
    return False
