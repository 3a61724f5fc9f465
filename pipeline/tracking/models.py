"""Trained models wherever they are: in a folder, or in an MLflow store."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.config import paths
from pipeline.errors import TrackingError, WeightsError
from pipeline.networks import trained
from pipeline.networks.trained import TrainedModel


def open_model(where: str) -> TrainedModel:
    """Open a trained model.

    Args:
        where: a folder, or ``models:/NAME@ALIAS``, ``models:/NAME/3`` or ``runs:/ID/model``.

    Raises:
        WeightsError: there is none, it is damaged, or it is of another version.
        TrackingError: the MLflow store cannot be used, or has no such model.
    """
    if not re.match(r"\w[\w-]+:/", where):
        return trained.open_model(Path(where))
    # Imported here: MLflow takes a second to load, which a model in a folder does not need.
    import mlflow

    from pipeline.tracking import execution
    from pipeline.tracking.store import DATABASE, choose, short_timeouts, store_fault

    if choose() and not (database := execution.store_root() / DATABASE).is_file():
        raise TrackingError(f"{where}: there is no {database}; run from the project's root or set MLFLOW_TRACKING_URI")
    with TemporaryDirectory() as folder:
        try:
            with short_timeouts():
                mlflow.MlflowClient().search_experiments(max_results=1)
            with short_timeouts(None):  # it answers; it may have to fetch a large file from elsewhere
                mlflow.artifacts.download_artifacts(artifact_uri=where, dst_path=folder)
        except Exception as error:  # the client raises requests', SQLAlchemy's and its own errors, by store
            message = store_fault() or f"MLflow has no such model, or cannot be reached: {error}"
            raise TrackingError(f"{where}: {message}") from error
        found = next(Path(folder).rglob(paths.model_description(Path()).name), None)
        if found is None:
            raise WeightsError(f"{where}: logged by another version of this project; train the model again")
        return trained.open_model(found.parent)
