"""The standins stage: draws a stand-in for one data set, in the file layout of that set."""

from pipeline.command_line import run
from pipeline.config import paths
from pipeline.config.load import load
from pipeline.errors import ParamsError
from pipeline.standins import draw


def main(dataset: str) -> None:
    """Draw the stand-in data/standins/DATASET."""
    settings = load()
    if dataset not in settings.standins.sets:
        known = ", ".join(settings.standins.sets) or "none"
        raise ParamsError(f"standins.sets: {dataset!r} is not among the sets to draw ({known}); add it in params.yaml")
    draw(dataset, paths.standins(dataset), settings.standins.seed, settings.standins.scale)


if __name__ == "__main__":
    run(main)
