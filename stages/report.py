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
"""The metrics that are averaged over the targets in the MLflow run of the whole execution."""


def main() -> None:
    """Write tables, figures and the page to reports/, and log them to the MLflow run of the whole execution."""
    settings = load()
    files = write_report(settings)
    metrics = headline_metrics({target: flatten(read_json(paths.metrics(target))) for target in settings.targets})
    # A page with faces of licensed data sets must stay in DVC's storage.
    shared = [file for file in files if file != paths.PAGE or not settings.report.pictures]
    log_report(settings, with_units(metrics), shared)


def headline_metrics(found: Mapping[str, Mapping[str, str | float]]) -> dict[str, float]:
    """Return the metrics for the MLflow run of the whole execution: ``TARGET.KEY`` per target, and means as ``KEY``.

    Args:
        found: the metrics by target. A target without labels has fewer; the means leave it out.
    """
    metrics = {f"{target}.{key}": float(value) for target, values in found.items() for key, value in values.items()}
    for key in MEANS:
        if scored := [metrics[f"{target}.{key}"] for target, values in found.items() if key in values]:
            metrics[key] = fmean(scored)
    return metrics


if __name__ == "__main__":
    run(main)
