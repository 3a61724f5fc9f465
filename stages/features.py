"""The features stage: features f(x) of one set, computed once for every adaptation of the head."""

from pipeline.command_line import run
from pipeline.config import paths
from pipeline.config.load import load
from pipeline.config.schema import Params
from pipeline.files.io import write_json


def main(dataset: str) -> None:
    """Write data/features/DATASET; where all of the network is trained nothing is needed, and a note says so."""
    settings = load()
    if settings.adapt.trains == "all":
        write_json(paths.features(dataset) / "features.json", {"trains": "all"})
    else:
        compute(settings, dataset)


def compute(settings: Params, dataset: str) -> None:
    """Compute the features of the source or of one target."""
    # Imported here: a note needs no PyTorch, which takes seconds to load.
    from pipeline.compute.device import pick
    from pipeline.data.prepared import PreparedData
    from pipeline.networks import trained
    from pipeline.networks.features import FeatureRequest
    from pipeline.training import loop

    device = pick(settings.device)
    loop.prepare(settings.seed, device)
    encoder, data = trained.pretrained_network(settings.model).encoder, PreparedData.open(dataset)
    if dataset == settings.source:
        pictures, views = settings.adapt.source_pictures, settings.adapt.source_views
        request = FeatureRequest.of_source(encoder, data, pictures, views, settings.augment)
    else:
        request = FeatureRequest.of_target(encoder, data, settings.adapt.target_views, settings.augment)
    request.write(paths.features(dataset), device)


if __name__ == "__main__":
    run(main)
