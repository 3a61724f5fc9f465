"""The features stage: features f(x) of source and targets, computed once for every adaptation of the head."""

from pathlib import Path

from pipeline.command_line import run
from pipeline.compute.device import pick
from pipeline.config import paths
from pipeline.config.load import load
from pipeline.data.prepared import PreparedData
from pipeline.files.atomic import remove_folder, storage_errors
from pipeline.files.io import write_json
from pipeline.networks import trained
from pipeline.networks.features import FeatureRequest
from pipeline.training import loop


def main() -> None:
    """Write data/features; what is there from the same encoder stays. Nothing is needed where all is trained."""
    settings = load()
    if settings.adapt.trains == "all":
        for name in (settings.source, *settings.targets):
            write_nothing(paths.features(name))
        return
    device = pick(settings.device)
    loop.prepare(settings.seed, device)
    encoder = trained.pretrained_network(settings.model).encoder
    requests = [FeatureRequest.of_source(encoder, PreparedData.open(settings.source), settings.adapt, settings.augment)]
    for target in settings.targets:
        requests.append(FeatureRequest.of_target(encoder, PreparedData.open(target), settings.adapt, settings.augment))
    for request in requests:
        request.write(paths.features(request.data.name), device)


def write_nothing(folder: Path) -> None:
    """Leave a folder that says that no features were needed: DVC wants one for each set."""
    if folder.exists():
        with storage_errors(folder):
            remove_folder(folder)
    write_json(folder / "features.json", {"trains": "all"})


if __name__ == "__main__":
    run(main)
