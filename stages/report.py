"""The report stage: tables and figures from the results of every target."""

from pipeline import layout, params, tracking
from pipeline.files import read_json
from pipeline.reporting import write_report
from pipeline.stage import run


def main() -> None:
    """Write reports/tables.md and reports/figures, and put them on the MLflow run of the whole execution."""
    settings = params.load()
    files = write_report(settings)
    headlines = {target: read_json(layout.evaluation(target) / "metrics.json") for target in settings.targets}
    metrics = {key: float(value) for key, value in tracking.flatten(headlines).items()}
    tracking.log_report(settings, metrics, files)


if __name__ == "__main__":
    run(main)
