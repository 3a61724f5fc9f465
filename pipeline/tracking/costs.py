"""What adaptations cost, as their MLflow runs say."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import mlflow
from mlflow.entities import Run

from pipeline.tracking import execution
from pipeline.tracking.store import DATABASE, choose, short_timeouts, store_errors
from pipeline.tracking.tree import DVC_EXPERIMENT

NEWEST_FIRST = ["attributes.start_time DESC"]


@dataclass(frozen=True)
class Cost:
    """What one target's adaptation took.

    Attributes:
        seconds: of all its epochs.
        memory: at its peak, in MiB.
    """

    seconds: float
    memory: float


def adaptation_costs(experiment: str, wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Cost]]:
    """What finished adaptations of DVC experiments have cost.

    An experiment that took its models from DVC's run cache has no run of its own; then the run of the same parameters
    that trained them counts. Of several runs of a target the last counts, those of the experiment itself before others.

    Args:
        experiment: MLflow's, ``tracking.experiment``.
        wanted: all parameters, flat, by the name of the DVC experiment.

    Returns:
        The cost by the name of the DVC experiment and the target; what has no run is left out.

    Raises:
        TrackingError: the store fails.
    """
    if choose() and not (execution.store_root() / DATABASE).is_file():
        return {}
    parameters = {name: {key: str(value) for key, value in flat.items()} for name, flat in wanted.items()}
    own: dict[str, dict[str, Run]] = {}
    alike: dict[str, dict[str, Run]] = {}
    with store_errors(), short_timeouts():
        client = mlflow.MlflowClient()
        for run in _adaptations(client, experiment):
            name, target = str(run.data.tags.get(DVC_EXPERIMENT)), run.data.tags["pocan.target"]
            if name in wanted:
                own.setdefault(name, {}).setdefault(target, run)
            for other in (other for other, flat in parameters.items() if flat == run.data.params):
                alike.setdefault(other, {}).setdefault(target, run)
        found = {name: alike.get(name, {}) | own.get(name, {}) for name in wanted}
        return {
            name: {target: _cost(client, run) for target, run in runs.items()} for name, runs in found.items() if runs
        }


def _adaptations(client: mlflow.MlflowClient, experiment: str) -> Iterator[Run]:
    """The runs of finished adaptations whose cost is known, the newest first."""
    of = client.get_experiment_by_name(experiment)
    if of is None:
        return
    query = "attributes.status = 'FINISHED' and tags.`pocan.stage` = 'adapt'"
    token = None
    while True:
        page = client.search_runs([of.experiment_id], query, order_by=NEWEST_FIRST, max_results=1000, page_token=token)
        yield from (run for run in page if {"epoch_seconds", "peak_memory_mib"} <= run.data.metrics.keys())
        if not (token := page.token):
            return


def _cost(client: mlflow.MlflowClient, run: Run) -> Cost:
    epochs = [entry.value for entry in client.get_metric_history(run.info.run_id, "epoch_seconds")]
    return Cost(sum(epochs), run.data.metrics["peak_memory_mib"])
