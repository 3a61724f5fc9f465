"""The standins stage: draws the stand-in of one data set, in the set's own layout, where the set itself would be."""

from pipeline.command_line import run
from pipeline.config import paths
from pipeline.config.load import load
from pipeline.errors import ParamsError
from pipeline.standins import draw


def main(dataset: str) -> None:
    """Write data/standins/DATASET."""
    settings = load()
    if dataset not in settings.standins.sets:
        known = ", ".join(settings.standins.sets) or "none"
        raise ParamsError(f"standins.sets: {dataset!r} is not among the sets to draw ({known}); add it in params.yaml")
    draw(dataset, paths.standins(dataset), settings.standins.seed, settings.standins.scale)


if __name__ == "__main__":
    run(main)
