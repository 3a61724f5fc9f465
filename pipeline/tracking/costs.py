"""Training time and memory of adaptations, from their MLflow runs."""

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
    """The cost of an adaptation to one target.

    Attributes:
        seconds: duration of all epochs.
        memory: peak memory, in MiB; None: not measured.
    """

    seconds: float
    memory: float | None


def adaptation_costs(experiment: str, wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Cost]]:
    """Return the costs of finished adaptations of DVC experiments.

    An experiment whose models came from DVC's run cache has no run of its own; a run with the same parameters is used
    instead. If there are several runs for a target, the newest is used, and the experiment's own runs come first.

    Args:
        experiment: name of the MLflow experiment, ``tracking.experiment``.
        wanted: all parameters, flattened, by name of the DVC experiment.

    Returns:
        The cost by name of the DVC experiment and by target; those without a run are missing.

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
    """Yield the runs of finished adaptations with a known cost, the newest first."""
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
