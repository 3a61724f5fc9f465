"""One MLflow run for each execution of a training or evaluation stage.

The runs of one execution of the pipeline have a common parent run and the same tag ``pocan.group``, which is the name
in ``dvc exp show``. PyTorch is imported only when a model is logged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Run
from mlflow.models import Model, infer_signature
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE

from pipeline.config.dependencies import flatten
from pipeline.config.schema import ModelRunParams
from pipeline.data.crops import CROP_SIZE, CropStore
from pipeline.files.temporary import temporary_folder
from pipeline.progress import working
from pipeline.tracking import execution, flavour, offline_queue
from pipeline.tracking.descriptions import describe
from pipeline.tracking.execution import Execution
from pipeline.tracking.offline_queue import OfflineQueue, logged_metrics, mention_unsent, now
from pipeline.tracking.store import connect, identity, short_message, short_timeouts, store_errors
from pipeline.tracking.tree import existing_run, leave_old_experiment, parent_run, tags_of

if TYPE_CHECKING:
    from torch import nn

    from pipeline.training.checkpoints import Checkpoint


class StageRun:
    """The MLflow run of one stage. Entries wait on disk while the server does not answer.

    Attributes:
        id: ID of the run.
        execution: the execution of the pipeline.
    """

    def __init__(self, run: Run, here: Execution, queue: OfflineQueue) -> None:
        self.id = run.info.run_id
        self.execution = here
        self._queue = queue

    def log(self, metrics: Mapping[str, float], epoch: int) -> None:
        """Log the metrics of one epoch (from 1) unless they are already logged; a ``pipeline.training.loop.Log``."""
        self._queue.put("metrics", {"values": dict(metrics), "step": epoch, "time": now()})

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Log properties of this run that are not parameters, such as the hardware, as tags ``pocan.KEY``."""
        self._queue.put("tags", {f"pocan.{key}": value for key, value in tags.items()})

    def log_dataset(self, store: CropStore, rows: np.ndarray[Any, Any], part: str) -> None:
        """Log rows of a store as an MLflow input: name, count, digest, provenance, but no labels.

        The digest covers the store and the rows: other rows of the same store are another data set.

        Args:
            store: the crop store.
            rows: rows of the store, N int64.
            part: their use, such as "train".
        """
        description = store.description
        digest = hashlib.sha256(f"{description['digest']} {rows.tolist()}".encode()).hexdigest()
        dataset = from_pandas(
            store.samples.iloc[rows][["key"]].astype(str), name=f"{description['dataset']}-{part}", digest=digest[:16]
        )
        tags = {"provenance": description["provenance"], "rows": str(len(rows)), "digest": digest}
        tags |= {"store": description["digest"], MLFLOW_DATASET_CONTEXT: part}
        self._queue.put("data", {"dataset": dataset.to_dict(), "tags": tags})

    def log_files(self, paths: Sequence[Path], folder: str) -> None:
        """Log figures, tables and descriptions as artifacts below ``folder``."""
        self._queue.put("files", {"folder": folder}, paths)

    def log_model(
        self,
        network: nn.Module,
        description: Mapping[str, Any] | None = None,
        registered_name: str | None = None,
    ) -> None:
        """Log a model in MLflow's PyTorch flavour.

        Args:
            network: a network on RGB in [0, 1], N×3×112×112 float32; it is moved to the CPU and to evaluation mode.
            description: content of the model's JSON. If given, this project's model folder is logged as well, which
                ``tracking.models`` opens, and the pyfunc flavour takes pictures (``tracking.flavour``).
            registered_name: name of the registered model, whose new version gets the alias "newest"; None: the model is
                not registered.
        """
        with temporary_folder() as folder:
            own, model = folder / "own", folder / "model"
            own.mkdir()
            if description is not None:
                from pipeline.networks import saved

                saved.save(own, dict(network.named_children()), description)
            with working("save the model for MLflow"):
                _save_flavour(network, sorted(map(str, own.iterdir())), model)
            self._queue.put("model", {"registered_name": registered_name, "time": now()}, [model])


def _save_flavour(network: nn.Module, extra_files: list[str], folder: Path) -> None:
    """Save to a folder what MLflow's ``log_model`` would log, so that it can be sent later."""
    import torch

    # Contiguous, because PyTorch's file would describe weights in another layout as parts of larger tensors.
    network = network.cpu().eval().to(memory_format=torch.contiguous_format)
    # Two images: an exported graph specialises a batch of one.
    example = np.zeros((2, 3, CROP_SIZE, CROP_SIZE), dtype=np.float32)
    with torch.no_grad():
        output = network(torch.from_numpy(example)).numpy()
    save_model = flavour.save_model if extra_files else mlflow.pytorch.save_model
    save_model(
        path=str(folder),
        mlflow_model=Model(),
        pytorch_model=network,
        signature=infer_signature(example, output),
        input_example=example,
        # Given here, because inferring them would load the model again in a second process.
        pip_requirements=["torch", "torchvision", "numpy"],
        extra_files=extra_files or None,
    )


@contextmanager
def stage_run(
    params: ModelRunParams, stage: str, target: str | None = None, checkpoint: Checkpoint | None = None
) -> Iterator[StageRun]:
    """Open the run of a stage; it is marked as failed if the block raises.

    Args:
        params: all parameters, which are logged.
        stage: name of the stage.
        target: the data set that it adapts to or evaluates on, if any.
        checkpoint: checkpoint of the stage's training. If that was interrupted, its run is reopened and moved to the
            current execution.

    Yields:
        The run.

    Raises:
        TrackingError: the store cannot be reached (raised before any training), or fails later.
    """
    here = execution.current()
    experiment_id = connect(params.tracking.experiment)
    origin = {"store": identity(), "params": flatten(params.model_dump())}
    name = f"{stage}@{target}" if target else stage
    if checkpoint:
        checkpoint.make_current()
    with store_errors():
        with short_timeouts():
            interrupted = _interrupted_run(checkpoint, origin) if checkpoint else None
            parent = parent_run(experiment_id, here, interrupted)
            tags = {**tags_of(here), MLFLOW_PARENT_RUN_ID: parent.info.run_id, "pocan.stage": stage}
            tags |= {"pocan.group": parent.data.tags["pocan.group"], "pocan.seed": str(params.seed)}
            if target:
                tags["pocan.target"] = target
            if text := describe(params, stage, target):
                tags[MLFLOW_RUN_NOTE] = text
            run = mlflow.start_run(run_id=interrupted.info.run_id if interrupted else None, run_name=name, tags=tags)
        queue = OfflineQueue(run.info.run_id, name)
        try:
            with short_timeouts():
                leave_old_experiment(run, here)
                if checkpoint:
                    checkpoint.keep_run({**origin, "run_id": run.info.run_id})
                mlflow.log_params(flatten(params.model_dump()))
                queue.logged = logged_metrics(run)  # of a reopened run; a new one has none
            queue.discard()
            mention_unsent()
            yield StageRun(run, here, queue)
        except BaseException as error:
            _end(queue, parent, "FAILED", error)
            raise
        _end(queue, parent, "FINISHED")


def _end(queue: OfflineQueue, parent: Run, status: str, error: BaseException | None = None) -> None:
    """End the stage's run, and its parent, so that the parent's duration is that of the execution so far.

    If the stage has failed with ``error``, do not wait for the server; a failure of the store is added as a note to
    ``error`` and does not replace it.
    """

    def end() -> None:
        with short_timeouts():
            mlflow.end_run(status)
            mlflow.MlflowClient().set_terminated(parent.info.run_id, status)

    try:
        queue.put("ended", {"status": status, "time": now(), "parent": parent.info.run_id}, ahead=end)
        queue.close(0 if error else offline_queue.PATIENCE)
    except Exception as second:
        if error is None:
            raise
        error.add_note(f"and its MLflow run could not be marked as failed: {short_message(second)}")


def _interrupted_run(checkpoint: Checkpoint, origin: Mapping[str, Any]) -> Run | None:
    """Return the run of an interrupted training if it is in this store and has the same parameters; else None."""
    noted = checkpoint.run()
    if noted is None or {key: noted.get(key) for key in origin} != origin:
        return None
    run = existing_run(str(noted.get("run_id")))
    # Without its checkpoint, training starts again, and its epochs must not mix with the old ones.
    return None if run is None or (run.data.metrics and not checkpoint.path.is_file()) else run
