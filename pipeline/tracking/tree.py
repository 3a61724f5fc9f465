"""The MLflow runs of one execution of the pipeline: a parent run with a child run for each stage."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import mlflow
from mlflow.entities import LifecycleStage, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE

from pipeline.config.paths import REPORTS
from pipeline.config.schema import Params
from pipeline.progress import say
from pipeline.tracking import execution, offline_queue
from pipeline.tracking.descriptions import describe_execution
from pipeline.tracking.execution import Execution
from pipeline.tracking.offline_queue import OfflineQueue, now
from pipeline.tracking.store import connect, short_timeouts, store_errors

DVC_EXPERIMENT = "dvc.experiment"
"""The tag with the experiment's name in ``dvc exp show``."""

EXECUTION = "execution"
"""The value of tag ``pocan.stage`` of a parent run."""


def log_report(params: Params, metrics: Mapping[str, float], files: Sequence[Path]) -> None:
    """Log the headline metrics, tables and figures of the whole execution to its parent run.

    Args:
        params: all parameters.
        metrics: the headline metrics.
        files: tables and figures in reports/.

    Raises:
        TrackingError: the store or server cannot be reached.
    """
    experiment_id = connect(params.tracking.experiment)
    with store_errors():
        with short_timeouts():
            parent = parent_run(experiment_id, execution.current())
        queue = OfflineQueue(parent.info.run_id, f"the report of {parent.info.run_name}")
        queue.discard()
        queue.put("tags", {MLFLOW_RUN_NOTE: describe_execution(params)})
        queue.put("metrics", {"values": dict(metrics), "step": 0, "time": now()})
        for path in files:
            # Keep the folders of reports/, so that the tables' links to figures work.
            folder = path.parent.relative_to(REPORTS)
            queue.put("files", {"folder": None if folder == Path() else str(folder)}, [path])
        queue.close(offline_queue.PATIENCE)


def existing_run(run_id: str) -> Run | None:
    """Return the run; None if it was deleted or the ID is invalid."""
    try:
        run = mlflow.get_run(run_id)
    except MlflowException as error:
        if error.error_code in map(ErrorCode.Name, (RESOURCE_DOES_NOT_EXIST, INVALID_PARAMETER_VALUE)):
            return None
        raise
    return run if run.info.lifecycle_stage == LifecycleStage.ACTIVE else None


def parent_run(experiment_id: str, here: Execution, interrupted: Run | None = None) -> Run:
    """Find or create the parent run of an execution.

    Args:
        experiment_id: ID of the MLflow experiment.
        here: the execution.
        interrupted: an interrupted run that this execution continues. If this execution has no parent run yet, it uses
            that of the interrupted run, so that both are in one tree.
    """
    client = mlflow.MlflowClient()
    query = f"tags.`pocan.process` = '{here.process}' and tags.`pocan.stage` = '{EXECUTION}'"
    if here.experiment:
        query += f" and tags.`{DVC_EXPERIMENT}` = '{here.experiment}'"
    found = client.search_runs([experiment_id], query, max_results=1)
    if found:
        return found[0]
    if here.unknown:  # warn here, once for all stages
        say(f"warning: the runs of this execution do not have the commit that they are of: {here.unknown}")
    tags = {**tags_of(here), "pocan.stage": EXECUTION}
    if interrupted and (parent := existing_run(interrupted.data.tags[MLFLOW_PARENT_RUN_ID])):
        # Keep its group, which its other child runs share.
        taken = {key: tags[key] for key in ("pocan.process", DVC_EXPERIMENT) if key in tags}
        client.log_batch(parent.info.run_id, tags=[RunTag(key, value) for key, value in taken.items()])
        leave_old_experiment(parent, here)
        return parent
    run = client.create_run(experiment_id, tags=tags, run_name=here.group)
    # The parent only groups its child runs, which start and end separately.
    client.set_terminated(run.info.run_id)
    return run


def leave_old_experiment(run: Run, here: Execution) -> None:
    """Remove the experiment tag of a run that is continued outside of a DVC experiment."""
    if here.experiment is None and DVC_EXPERIMENT in run.data.tags:
        mlflow.MlflowClient().delete_tag(run.info.run_id, DVC_EXPERIMENT)


def tags_of(here: Execution) -> dict[str, str]:
    """Return the tags that all runs of an execution share."""
    tags = {"pocan.group": here.group, "pocan.process": here.process}
    if here.dirty is not None:
        tags["git.dirty"] = str(here.dirty).lower()
    if here.experiment:
        tags[DVC_EXPERIMENT] = here.experiment
    if here.revision:
        tags["git.commit"] = here.revision
    return tags
