"""The report stage: tables, figures and the page from the results of every target."""

from pipeline.command_line import run
from pipeline.config import paths
from pipeline.config.dependencies import flatten
from pipeline.config.load import load
from pipeline.files.io import read_json
from pipeline.reporting import write_report
from pipeline.tracking.tree import log_report


def main() -> None:
    """Write tables, figures and page in reports/, and put them on the MLflow run of the whole execution."""
    settings = load()
    files = write_report(settings)
    headlines = {target: read_json(paths.metrics(target)) for target in settings.targets}
    metrics = {key: float(value) for key, value in flatten(headlines).items()}
    # Faces of licensed sets stay where DVC keeps them.
    shared = [file for file in files if file != paths.PAGE or not settings.report.pictures]
    log_report(settings, metrics, shared)


if __name__ == "__main__":
    run(main)
