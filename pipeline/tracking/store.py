"""The MLflow store: a SQLite file in the project, or the one in the environment variable MLFLOW_TRACKING_URI."""

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
"""Timeout in seconds for requests without a file."""

BUCKET_LIBRARIES = "boto3", "botocore", "s3transfer"
"""Libraries that MLflow uses for a bucket if the server does not proxy files; it does not wrap their exceptions."""

# This project reports MLflow's exceptions; MLflow would also log a traceback.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL + 1)


def connect(experiment: str) -> str:
    """Choose the store and open the experiment.

    This checks that the store, and its bucket if there is one, answers. It uses short timeouts, because MLflow's
    default retries take minutes.

    Args:
        experiment: name of the experiment; created if it does not exist.

    Returns:
        The experiment's ID.

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
                # Two stages that start at the same time must not both create the experiment.
                with FileLock(root / f"{DATABASE}.lock"):
                    wait_for_maker(_database(uri))
                    opened = _open(experiment, root)
            else:
                opened = _open(experiment, None)
    except Exception as error:  # depends on the store: exceptions of requests, SQLAlchemy or MLflow
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
    """Return an exception's message without the SQL statement and parameters that SQLAlchemy appends."""
    lines = str(error).partition("\n[SQL:")[0].splitlines()
    return "\n".join(line for line in lines if not line.startswith("(raised as a result of Query-invoked autoflush"))


def address() -> str:
    """Return the store's URI without user name and password, for messages and files."""
    uri = mlflow.get_tracking_uri()
    parts = urlsplit(uri)
    return uri if "@" not in parts.netloc else urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def choose() -> bool:
    """Make MLflow use the store in MLFLOW_TRACKING_URI, or else the project's own.

    Returns:
        Whether it is the project's own.

    Raises:
        TrackingError: the project was moved and its store cannot be updated, or MLflow cannot use a store at this path.
    """
    # MLflow saves the chosen URI in the same variable, so it may already contain the project's own store.
    own = os.environ.get("MLFLOW_TRACKING_URI", "") in ("", _own())
    if own:
        _require_address(execution.store_root())
        mlflow.set_tracking_uri(_own())
        mend_places()
    return own


def mend_places() -> None:
    """Update the paths in the project's own store, if it is used and the project was moved (``places.mend``).

    Raises:
        TrackingError: the store cannot be written.
    """
    if mlflow.get_tracking_uri() == _own():
        places.mend(execution.store_root() / DATABASE)


def identity() -> str:
    """Return the store's name for files; that of the project's own does not depend on the project's path."""
    return DATABASE if mlflow.get_tracking_uri() == _own() else address()


@contextmanager
def store_errors() -> Iterator[None]:
    """Convert failures of the store during a stage to a ``TrackingError``.

    Raises:
        TrackingError: the block raised one of ``failures``.
    """
    try:
        yield
    except failures() as error:
        raise TrackingError(
            f"MLflow store {address()} failed: {store_fault() or short_message(error)}\n"
            "Training is kept up to its last epoch: see to the store and run the same command again"
        ) from error


def store_fault() -> str | None:
    """Return what is wrong with the store and what to do, if it is a faulty SQLite file; else None."""
    uri = mlflow.get_tracking_uri()
    database = _database(uri)
    return find_fault(database) if uri.startswith(SQLITE) and database.is_file() else None


def require_bucket(location: str) -> None:
    """Check that the bucket of ``location`` answers and accepts the credentials; other locations always pass.

    Raises:
        MlflowException: it does not (also another of ``failures``), or boto3 is not installed.
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
        if error.error_code != ErrorCode.Name(PERMISSION_DENIED):  # write permission does not require list permission
            raise


def _own() -> str:
    """Return the URI of the project's own store."""
    return f"{SQLITE}{execution.store_root() / DATABASE}"


def _require_address(folder: Path) -> None:
    """Check that a path can be part of a SQLite URI, which MLflow decodes in some places but not in others.

    Raises:
        TrackingError: the path contains ``?``, or ``%`` followed by two hexadecimal digits.
    """
    if _database(f"{SQLITE}{folder}") != folder:
        raise TrackingError(
            f"{as_text(folder)}: MLflow finds no store in a folder whose path has ? or %20 and the like; move or "
            f"rename the folder, or name a store elsewhere: MLFLOW_TRACKING_URI={SQLITE}/FOLDER/{DATABASE}"
        )


def _database(uri: str) -> Path:
    """Return the file of a SQLite URI, without options of the driver."""
    return Path(unquote(uri.removeprefix(SQLITE).partition("?")[0]))


def _create(database: Path) -> None:
    """Create the database if there is none: under a temporary name, and by only one process.

    MLflow creates its tables step by step. Two processes at once would corrupt them, and a killed one would leave them
    incomplete.
    """
    with FileLock(database.with_name(f"{database.name}.lock")):
        if database.exists():
            return
        making = database.with_name(f".{database.name}.making")
        making.unlink(missing_ok=True)  # left by a killed process
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
    """Open or create the experiment; artifacts of a new one go to ``root``, or to the server's default if None."""
    if root is not None and mlflow.get_experiment_by_name(experiment) is None:
        mlflow.create_experiment(experiment, artifact_location=(root / places.FILES).as_uri())
    opened = mlflow.set_experiment(experiment)
    for key, value in experiment_tags().items():
        if key not in opened.tags:  # do not overwrite the user's changes
            mlflow.MlflowClient().set_experiment_tag(opened.experiment_id, key, value)
    return opened


@contextmanager
def short_timeouts(seconds: int | None = QUICK) -> Iterator[None]:
    """Limit MLflow's client to two attempts of ``seconds`` each within the block, unless the user has set these.

    By default it makes eight attempts in four minutes without a message. A bucket's client also makes two attempts,
    with its own timeout of a minute.

    Args:
        seconds: timeout of one attempt; None: MLflow's default of two minutes.
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
    """Return the exceptions of MLflow's client, of its HTTP library and, once imported, of boto3."""
    if not sys.modules.get("boto3"):
        return MlflowException, RequestException
    from boto3.exceptions import Boto3Error  # type: ignore[import-untyped]
    from botocore.exceptions import BotoCoreError, ClientError

    return MlflowException, RequestException, Boto3Error, BotoCoreError, ClientError


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its chain of causes: MLflow and boto3 wrap exceptions of their transport."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def innermost(error: BaseException) -> BaseException:
    """Return the original cause of an exception, which names the fault: "Connection refused"."""
    *_, cause = _causes(error)
    return cause


def is_bucket_error(error: BaseException) -> bool:
    """Return whether the exception or one of its causes comes from a bucket's client."""
    return any(type(cause).__module__.partition(".")[0] in BUCKET_LIBRARIES for cause in _causes(error))


def is_unreachable(error: BaseException) -> bool:
    """Return whether the exception means that a server or bucket does not answer, rather than a refused request."""
    for cause in _causes(error):
        if isinstance(cause, HTTPError) and cause.response is not None:
            return cause.response.status_code >= 500
        if isinstance(cause, RequestException):  # also repeated answers 429, 500, 502, 503 or 504
            return True
        if is_bucket_error(cause):
            from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

            if isinstance(cause, ClientError):
                return bool(cause.response["ResponseMetadata"]["HTTPStatusCode"] >= 500)
            if isinstance(cause, ConnectionError | HTTPClientError):
                return True
    return False
