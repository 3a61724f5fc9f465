"""Opening trained models from a folder or an MLflow store."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import paths
from pipeline.errors import PipelineError, TrackingError, WeightsError
from pipeline.files.temporary import temporary_folder
from pipeline.networks import trained
from pipeline.networks.trained import TrainedModel

if TYPE_CHECKING:
    from mlflow.store.artifact.artifact_repo import ArtifactRepository


def open_model(where: str) -> TrainedModel:
    """Open a trained model.

    Args:
        where: a folder, or ``models:/NAME@ALIAS``, ``models:/NAME/3`` or ``runs:/ID/model``.

    Raises:
        WeightsError: there is none, it is damaged, or it is of another version.
        TrackingError: the MLflow store cannot be used, has no such model, or has lost its files.
        StorageError: there is no room to fetch it from elsewhere.
    """
    if not re.match(r"\w[\w-]+:/", where):
        return trained.open_model(_folder(where))
    # Imported here: MLflow takes a second to load, which a model in a folder does not need.
    import mlflow
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    from pipeline.tracking import execution
    from pipeline.tracking.store import DATABASE, choose, short_timeouts

    if choose() and not (database := execution.store_root() / DATABASE).is_file():
        raise TrackingError(f"{where}: there is no {database}; run from the project's root or set MLFLOW_TRACKING_URI")
    with _errors(where), short_timeouts():
        mlflow.MlflowClient().search_experiments(max_results=1)
        place = _place(where)
    if isinstance(place, LocalArtifactRepository):
        return _opened(Path(place.artifact_dir), where, place.artifact_dir)
    with _errors(where), temporary_folder() as folder:
        with short_timeouts(None):  # it answers; it may have to fetch a large file from elsewhere
            place.download_artifacts("", str(folder))  # type: ignore[no-untyped-call]
        return _opened(folder, where, place.artifact_uri)


def _folder(where: str) -> Path:
    """Return the folder of a model.

    Raises:
        WeightsError: it does not exist.
    """
    folder = Path(where)
    if not (file := paths.model_description(folder)).exists():
        made, other = "", ""
        if folder == paths.PROTOTYPES:
            made, other = "dvc repro makes it in a project; ", ", or make one with pocan import-model"
        raise WeightsError(f"{file}: no such file; {made}name the folder of a trained model with --model{other}")
    return folder


@contextmanager
def _errors(where: str) -> Iterator[None]:
    """Convert any exception of a store or bucket to a ``TrackingError``.

    Raises:
        TrackingError: the block raised an exception that is not a ``PipelineError``.
    """
    from pipeline.tracking.store import store_fault

    try:
        yield
    except PipelineError:
        raise
    except Exception as error:  # the client raises requests', SQLAlchemy's and its own errors, by store
        message = store_fault() or f"MLflow has no such model, or cannot be reached: {error}"
        raise TrackingError(f"{where}: {message}") from error


def _place(where: str) -> ArtifactRepository:
    """Return the artifact repository with the files of a model."""
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository
    from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository

    if of_run := re.fullmatch(r"runs:/([^/]+)/(.+)", where):
        client = mlflow.MlflowClient()
        outputs = client.get_run(of_run[1]).outputs
        models = [client.get_logged_model(one.model_id) for one in (outputs.model_outputs if outputs else ())]
        named = {model.name: f"models:/{model.model_id}" for model in models}
        if named and of_run[2] not in named:
            raise MlflowException(f"the run has {', '.join(sorted(named))}")
        where = named.get(of_run[2], where)
    place = get_artifact_repository(where)
    while isinstance(place, ModelsArtifactRepository | RunsArtifactRepository):
        place = place.repo
    return place


def _opened(folder: Path, where: str, place: str) -> TrainedModel:
    """Open the model in ``folder``, whose original is at ``place`` in the MLflow store."""
    # iterdir raises if the folder may not be read; rglob would silently skip it.
    if folder.is_dir() and any(folder.iterdir()):
        if found := next(folder.rglob(paths.model_description(Path()).name), None):
            return trained.open_model(found.parent)
        raise WeightsError(f"{where}: logged by another version of this project; train the model again")
    raise TrackingError(
        f"{where}: MLflow knows this model, but its files are gone: {place} has none. Put them back there, as from a "
        "backup or from the project that this one is a copy of, or train the model again"
    )
