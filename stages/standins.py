"""The standins stage: draws the stand-in of one data set, in the set's own layout, where the set itself would be."""

from pipeline import layout, params
from pipeline.errors import ParamsError
from pipeline.stage import run
from pipeline.standins import draw


def main(dataset: str) -> None:
    """Write data/standins/DATASET."""
    settings = params.load()
    if dataset not in settings.standins.sets:
        known = ", ".join(settings.standins.sets) or "none"
        raise ParamsError(f"standins.sets: {dataset!r} is not among the sets to draw ({known}); add it in params.yaml")
    draw(dataset, layout.standins(dataset), settings.standins)


if __name__ == "__main__":
    run(main)
