"""The split stage: divides the crops of one data set into the part adapted on and the part tested on."""

from pipeline import layout, params, splits
from pipeline.crops import CropStore
from pipeline.errors import ParamsError
from pipeline.stage import run


def main(dataset: str) -> None:
    """data/crops/DATASET -> data/splits/DATASET.parquet, which holds no labels: adaptation must not see them."""
    settings = params.load()
    division = settings.split.get(dataset)
    if division is None:
        raise ParamsError(f"params.yaml: no entry split.{dataset}; add one with a protocol")
    manifest = CropStore.open(layout.crops(dataset)).manifest
    split = splits.make_split(manifest, division, dataset)
    splits.write(layout.split(dataset), split)
    print(f"{dataset}, protocol {division.protocol}\n{splits.describe(manifest, split)}")


if __name__ == "__main__":
    run(main)
