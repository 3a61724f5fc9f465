"""Where an MLflow server keeps files in a bucket and does not pass them through: its clients write there themselves.

MLflow lets out what boto3 raises then. That is told by its module: boto3 takes a quarter of a second to load, and only
MLflow loads it, where there is a bucket.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED, ErrorCode

SCHEME = "s3://"

LIBRARIES = "boto3", "botocore", "s3transfer"


def is_of_a_bucket(error: BaseException) -> bool:
    """Whether a bucket's client raised it."""
    return type(error).__module__.partition(".")[0] in LIBRARIES


def is_unreachable(error: BaseException) -> bool:
    """Whether what a bucket's client raised says that it does not answer, and not that it refuses."""
    from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

    if isinstance(error, ClientError):
        return bool(error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500)
    cause = error.__cause__ or error.__context__  # of boto3's failed upload
    return isinstance(error, ConnectionError | HTTPClientError) or (
        cause is not None and is_of_a_bucket(cause) and is_unreachable(cause)
    )


@contextmanager
def translated() -> Iterator[None]:
    """Report a bucket's fault as MLflow does all others.

    Raises:
        MlflowException: a bucket's client raised, which is the cause, or is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in LIBRARIES:
            raise
        raise MlflowException(f"{error.name} is not installed: pip install 'pocan[s3]'") from error
    except Exception as error:
        if not is_of_a_bucket(error):
            raise
        raise MlflowException(str(error)) from error


def ask(location: str) -> None:
    """Prove that the bucket of ``location`` answers, and knows these keys; any other location is passed over.

    Raises:
        MlflowException: it does not.
    """
    if not location.startswith(SCHEME):
        return
    try:
        with translated():
            mlflow.artifacts.list_artifacts(artifact_uri=location)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(PERMISSION_DENIED):  # who may write need not be allowed to list
            raise
