"""What adaptations cost, as their MLflow runs say."""

from pipeline.tracking.store import DATABASE, answering, choose, impatient  # isort: skip  (sets what MLflow reads when imported)

from collections.abc import Iterable
from dataclasses import dataclass

import mlflow

from pipeline.tracking import execution
from pipeline.tracking.tree import DVC_EXPERIMENT

NEWEST_FIRST = ["attributes.start_time DESC"]


@dataclass(frozen=True)
class Cost:
    """Of one target's adaptation. seconds: of all its epochs. memory: peak, in MiB."""

    seconds: float
    memory: float


def adaptation_costs(experiment: str, names: Iterable[str]) -> dict[str, list[Cost]]:
    """By the name of a DVC experiment, the cost of each target's finished adaptation; a name without runs is not there.

    experiment: MLflow's, ``tracking.experiment``. Of a target that was adapted to again under the same name, the last.

    Raises:
        TrackingError: the store fails.
    """
    if choose() and not (execution.store_root() / DATABASE).is_file():
        return {}
    wanted, found = set(names), dict[str, dict[str, Cost]]()
    with answering(), impatient():
        client = mlflow.MlflowClient()
        of = client.get_experiment_by_name(experiment)
        if of is None:
            return {}
        query = "attributes.status = 'FINISHED' and tags.`pocan.stage` = 'adapt'"
        token = None
        while True:
            page = client.search_runs(
                [of.experiment_id], query, order_by=NEWEST_FIRST, max_results=1000, page_token=token
            )
            for run in page:
                name, target = run.data.tags.get(DVC_EXPERIMENT), run.data.tags["pocan.target"]
                known = target in found.get(str(name), {})
                if name in wanted and not known and {"epoch_seconds", "peak_memory_mib"} <= run.data.metrics.keys():
                    epochs = [entry.value for entry in client.get_metric_history(run.info.run_id, "epoch_seconds")]
                    cost = Cost(sum(epochs), run.data.metrics["peak_memory_mib"])
                    found.setdefault(str(name), {})[target] = cost
            if not (token := page.token):
                return {name: list(costs.values()) for name, costs in found.items()}
