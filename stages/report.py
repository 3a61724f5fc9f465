"""The report stage: tables and figures from the results of every target."""

from pipeline.command_line import run
from pipeline.config import layout
from pipeline.config.load import load
from pipeline.files import flatten, read_json
from pipeline.reporting import write_report
from pipeline.tracking.tree import log_report


def main() -> None:
    """Write reports/tables.md and reports/figures, and put them on the MLflow run of the whole execution."""
    settings = load()
    files = write_report(settings)
    headlines = {target: read_json(layout.evaluation(target) / "metrics.json") for target in settings.targets}
    metrics = {key: float(value) for key, value in flatten(headlines).items()}
    log_report(settings, metrics, files)


if __name__ == "__main__":
    run(main)
