"""The faces stage: detects, crops and packs the faces of one data set."""

from pathlib import Path

from pipeline.command_line import run
from pipeline.compute import device
from pipeline.config import paths
from pipeline.config.load import load
from pipeline.config.preflight import require_set
from pipeline.datasets import open_dataset
from pipeline.faces.extract import extract
from pipeline.faces.writer import summary
from pipeline.files.io import write_json


def main(dataset: str) -> None:
    """Crop the faces of data.root/DATASET into data/crops/DATASET; write counts to data/faces/DATASET.json."""
    settings = load()
    require_set(settings, dataset)
    opened = open_dataset(dataset, Path(settings.data.root) / dataset)
    store, in_progress = paths.crops(dataset), paths.crops_in_progress(dataset)
    extract(opened, store, in_progress, settings.faces, settings.data.max_unreadable, device.pick(settings.device))
    write_json(paths.faces_report(dataset), summary(store))


if __name__ == "__main__":
    run(main)
