"""What MLflow shows of runs: their descriptions, metrics with units, and the columns of its table."""

import json
from collections.abc import Mapping

from pipeline.backbones import BACKBONES
from pipeline.config.methods import METHODS
from pipeline.config.schema import ModelRunParams, Params
from pipeline.datasets import DATASETS

VIEW_NAME = "percent"
"""Name of the view. Older runs, whose accuracies are fractions, have the view ``results``."""

COLUMNS = (
    "attributes.`Description`",
    *(f"metrics.`{name}`" for name in ("dt.accuracy_percent", "accuracy_percent", "gain_points")),
    "params.`adapt.method`",
)
"""Runs of the evaluate stage have these metrics; the run of a whole execution has their means over the targets."""


def with_units(metrics: Mapping[str, float]) -> dict[str, float]:
    """Convert accuracies to per cent and gains to points, and add the unit to their names.

    Older runs have fractions under names without a unit, so the two never share a column.

    Args:
        metrics: values by name; accuracies are fractions. The last part of the name ("dt.accuracy") is the quantity.
    """
    units = {name: _unit(name.rpartition(".")[2]) for name in metrics}
    return {f"{name}{units[name]}": value * (100 if units[name] else 1) for name, value in metrics.items()}


def _unit(name: str) -> str:
    if "accuracy" in name:
        return "_percent"
    return "_points" if name.endswith("gain") else ""


def experiment_tags() -> dict[str, str]:
    """Return the tags of an MLflow experiment that add the view ``VIEW_NAME`` to its pages.

    MLflow stores shared views in this form; a version that does not know it shows its default columns.
    """
    return {
        "mlflow.experimentKind": "custom_model_development",
        f"mlflow.sharedViewState.{VIEW_NAME}": json.dumps({"selectedColumns": list(COLUMNS), "runsExpanded": {}}),
    }


def describe(params: ModelRunParams, stage: str, target: str | None = None) -> str:
    """Describe a stage's run in words.

    Args:
        params: all parameters.
        stage: name of the stage.
        target: the data set that it adapts to or evaluates on, if any.

    Returns:
        One or two sentences; empty for other stages.
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
        "study": f"Variants of stage 2 compared, all from the same models trained on {source}: each one's mean scores "
        "over targets and seeds.",
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
    """Describe a whole execution of the pipeline in words."""
    targets = ", ".join(map(DATASETS.title, params.targets))
    return (
        f"{METHODS.title(params.adapt.method)} from {DATASETS.title(params.source)} to {targets}. Below it is one run "
        "for each executed stage. accuracy_percent, dt.accuracy_percent (direct transfer) and gain_points are means "
        "over the targets."
    )
