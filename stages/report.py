"""The report stage: tables, figures and the page from the results of every target."""

from collections.abc import Mapping
from statistics import fmean

from pipeline.command_line import run
from pipeline.config import paths
from pipeline.config.dependencies import flatten
from pipeline.config.load import load
from pipeline.files.io import read_json
from pipeline.reporting import write_report
from pipeline.tracking.descriptions import with_units
from pipeline.tracking.tree import log_report

MEANS = ("dt.accuracy", "accuracy", "gain", "dt.balanced_accuracy", "balanced_accuracy", "balanced_gain")
"""Metrics of the targets of which the whole execution's run has the mean."""


def main() -> None:
    """Write tables, figures and page in reports/, and put them on the MLflow run of the whole execution."""
    settings = load()
    files = write_report(settings)
    metrics = headline_metrics({target: flatten(read_json(paths.metrics(target))) for target in settings.targets})
    # Faces of licensed sets stay where DVC keeps them.
    shared = [file for file in files if file != paths.PAGE or not settings.report.pictures]
    log_report(settings, with_units(metrics), shared)


def headline_metrics(found: Mapping[str, Mapping[str, str | float]]) -> dict[str, float]:
    """The metrics of the whole execution's run: those of every target as ``TARGET.KEY``, and means as ``KEY``.

    Args:
        found: the metrics by target; one without labels has fewer, and no part in the means.
    """
    metrics = {f"{target}.{key}": float(value) for target, values in found.items() for key, value in values.items()}
    for key in MEANS:
        if scored := [metrics[f"{target}.{key}"] for target, values in found.items() if key in values]:
            metrics[key] = fmean(scored)
    return metrics


if __name__ == "__main__":
    run(main)
