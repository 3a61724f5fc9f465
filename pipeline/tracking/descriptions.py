"""What MLflow shows beside a run: a description in words, and a table of runs with the columns that matter."""

import json
from collections.abc import Mapping

from pipeline.backbones import BACKBONES
from pipeline.config.methods import METHODS
from pipeline.config.schema import ModelRunParams, Params
from pipeline.datasets import DATASETS

VIEW_NAME = "percent"
"""New with the new columns: an experiment keeps the table ``results``, of fractions, for its old runs."""

COLUMNS = (
    "attributes.`Description`",
    *(f"metrics.`{name}`" for name in ("dt.accuracy_percent", "accuracy_percent", "gain_points")),
    "params.`adapt.method`",
)
"""The metrics are those of the evaluate stage's runs; the run of a whole execution has their means over the targets."""


def with_units(metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics as runs have them: accuracies in per cent and gains in points, as in all tables, which their names say.

    Runs of before have fractions under names without a unit: the two never stand in one column.

    Args:
        metrics: by name, of which the part behind the last point says what it is; accuracies are fractions.
    """
    units = {name: _unit(name.rpartition(".")[2]) for name in metrics}
    return {f"{name}{units[name]}": value * (100 if units[name] else 1) for name, value in metrics.items()}


def _unit(name: str) -> str:
    if "accuracy" in name:
        return "_percent"
    return "_points" if name.endswith("gain") else ""


def experiment_tags() -> dict[str, str]:
    """Tags of an MLflow experiment with which its pages offer the table of ``VIEW_NAME``.

    They are the form in which MLflow itself keeps a view that was shared; a version that does not know it shows its
    usual columns.
    """
    return {
        "mlflow.experimentKind": "custom_model_development",
        f"mlflow.sharedViewState.{VIEW_NAME}": json.dumps({"selectedColumns": list(COLUMNS), "runsExpanded": {}}),
    }


def describe(params: ModelRunParams, stage: str, target: str | None = None) -> str:
    """A stage's run in words.

    Args:
        params: all parameters.
        stage: its name.
        target: the data set that it adapts to or evaluates on, if any.

    Returns:
        A sentence or two; nothing for a stage that is not one of the pipeline's.
    """
    source, method = DATASETS.title(params.source), METHODS.title(params.adapt.method)
    to = DATASETS.title(target or "")
    encoder = f"{BACKBONES.title(params.model.backbone)}, weights: {params.model.weights}"
    searched = f" of each of {params.adapt.search} configurations" if params.adapt.search else ""
    texts = {
        "prototypes": f"The prototypes of {source}'s classes are trained; the encoder is fixed. "
        f"The metrics are the source model's on {source}'s own test part.",
        "adapt": f"Stage 2: {method} adapts the model from {source} to {to} in {_epochs(params.adapt.passes)}"
        f"{searched}. The method sees no label of {to}. In the pipeline the run evaluate@{target} has its accuracy.",
        "evaluate": f"Scores on the test part of {to}: the model from {source} unchanged (direct transfer, dt.*), and "
        f"after adaptation by {method}.",
    }
    if isinstance(params, Params):
        texts["pretrain"] = (
            f"Stage 1: the encoder ({encoder}) and the projection head are trained on {source}, "
            f"{_epochs(params.pretrain.epochs)} by {params.pretrain.objective}."
        )
    return texts.get(stage, "")


def _epochs(count: int) -> str:
    return f"{count} epoch{'s' * (count != 1)}"


def describe_execution(params: Params) -> str:
    """A whole execution of the pipeline in words."""
    targets = ", ".join(map(DATASETS.title, params.targets))
    return (
        f"{METHODS.title(params.adapt.method)} from {DATASETS.title(params.source)} to {targets}. Below it is one run "
        "for each executed stage. accuracy_percent, dt.accuracy_percent (direct transfer) and gain_points are means "
        "over the targets."
    )
