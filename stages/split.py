"""The split stage: divides the crops of one data set into training and test rows."""

import numpy as np

from pipeline.command_line import run
from pipeline.config import paths
from pipeline.config.load import load
from pipeline.config.preflight import require_enough, require_set, unlearnable
from pipeline.data.crops import CropStore
from pipeline.data.prepared import Split, write_split
from pipeline.errors import ParamsError
from pipeline.files.io import write_csv
from pipeline.files.records import write_record
from pipeline.splits import duplicates, overlaps, protocols
from pipeline.splits.overlaps import Duplicates
from pipeline.splits.report import DuplicateReport, Protocol, SharedPictures, SplitReport


def main(dataset: str) -> None:
    """Split data/crops/DATASET; write data/splits/DATASET.parquet, without labels, which adaptation must not see.

    Also write data/splits/DATASET.json (what training and test rows share) and data/duplicates/DATASET.csv. Duplicates
    are searched within the set, and between a target and the source; for the source, in all other sets with crops.
    """
    settings = load()
    require_set(settings, dataset)
    division = settings.split.get(dataset)
    if division is None:
        raise ParamsError(f"params.yaml: no entry split.{dataset}; add one with a protocol")
    store = CropStore.open(paths.crops(dataset))
    others = every_other(dataset) if dataset == settings.source else [settings.source]
    stores = {name: CropStore.open(paths.crops(name)) for name in others}
    # The source is split before any training: check here that every target has enough pictures.
    require_enough(settings, {name: len(other.images) for name, other in stores.items()})
    split = protocols.make_split(store.samples, division, dataset)
    found = Duplicates.find(
        duplicates.fingerprints(store.images),
        {name: duplicates.fingerprints(other.images) for name, other in stores.items()},
    )
    in_both, duplicated = overlaps.count_shared(store.samples, split), found.report(split)
    dropped = {}
    if division.duplicates == "drop":
        left_out = found.left_out(split, of_others=dataset == settings.source)
        split = Split(np.setdiff1d(split.train, left_out), split.test)
        dropped = {"dropped": len(left_out)}
    require_enough(settings, {dataset: len(split.train)})
    report = SplitReport(
        dataset=dataset,
        protocol=Protocol.model_validate(division.model_dump()),
        test_in_train=SharedPictures.model_validate(in_both),
        duplicates=DuplicateReport.model_validate(duplicated),
        train=len(split.train),
        test=len(split.test),
        **dropped,
    )
    write_split(paths.split(dataset), split)
    keys = {name: each.samples["key"].to_numpy(dtype=object) for name, each in {dataset: store, **stores}.items()}
    write_csv(paths.duplicates(dataset), found.table(dataset, keys, split))
    write_record(paths.split_report(dataset), report)
    print(f"{dataset}, protocol {division.protocol}", protocols.describe(store.samples, split), sep="\n")
    print(overlaps.describe(report.to_json()))
    if dataset == settings.source and (warning := unlearnable(set(store.labels()[split.train].tolist()))):
        print(warning)


def every_other(dataset: str) -> list[str]:
    """Return the names of all other data sets that have crops."""
    folders = paths.crops(dataset).parent.iterdir()
    return sorted(
        folder.name
        for folder in folders
        # A hidden folder is left over from an interrupted copy.
        if folder.name != dataset and not folder.name.startswith(".") and (folder / "store.json").is_file()
    )


if __name__ == "__main__":
    run(main)
