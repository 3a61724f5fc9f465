"""The features stage: features f(x) of one data set, computed once for all adaptations that train only the head."""

from typing import TYPE_CHECKING

from pipeline.command_line import run
from pipeline.config import paths
from pipeline.config.learning import EncoderRules
from pipeline.config.load import load
from pipeline.config.schema import Params
from pipeline.errors import ParamsError
from pipeline.files.io import write_json
from pipeline.shards import Shard

if TYPE_CHECKING:
    from pipeline.data.prepared import PreparedData
    from pipeline.networks.features import FeatureRequest


def main(dataset: str, shard: str | None = None) -> None:
    """Write data/features/DATASET. If adapt.trains is all, no features are needed and only a note is written.

    With --shard 3/8 only the third of eight parts is written, for ``pocan join``.
    """
    settings, part = load(), None if shard is None else Shard.parse(shard)
    if settings.adapt.trains == "head":
        if part and dataset != settings.source and not rules_of(settings).nothing:
            raise ParamsError(
                "--shard: what the encoder takes over from the target is of all its pictures; set "
                "adapt.encoder_statistics: source, adapt.histogram_matching: never and adapt.restoration: never"
            )
        compute(settings, dataset, part)
    elif part is None:
        write_json(paths.features(dataset) / "features.json", {"trains": "all"})
    else:
        raise ParamsError("--shard: adapt.trains is all, which needs no features; set adapt.trains: head")


def compute(settings: Params, dataset: str, part: Shard | None) -> None:
    """Compute the features of the source or of a target, or one shard of them."""
    # Imported here, because writing the note needs no PyTorch, which takes seconds to import.
    from pipeline.compute.device import pick
    from pipeline.data.prepared import PreparedData
    from pipeline.networks import trained
    from pipeline.networks.feature_shards import write_features_shard
    from pipeline.networks.features import FeatureRequest
    from pipeline.training import loop

    device = pick(settings.device)
    loop.prepare(settings.seed, device)
    data = PreparedData.open(dataset)
    if dataset == settings.source:
        encoder = trained.pretrained_network(settings.model).encoder
        pictures, views = settings.adapt.source_pictures, settings.adapt.source_views
        request = FeatureRequest.of_source(encoder, data, pictures, views, settings.augment)
    else:
        request = _of_target(settings, data)
    if part is None:
        request.write(paths.features(dataset), device)
        return
    folder = paths.features_shard(dataset, part.number, part.count)
    write_features_shard(request, folder, device, part)
    print(folder)


def rules_of(settings: Params) -> EncoderRules:
    """Return when the encoder takes something over from a target; dvc.yaml names the same three parameters."""
    return EncoderRules(
        settings.adapt.encoder_statistics, settings.adapt.histogram_matching, settings.adapt.restoration
    )


def _of_target(settings: Params, data: "PreparedData") -> "FeatureRequest":
    """The features that an adaptation to this target reads."""
    from pipeline.data.prepared import PreparedData
    from pipeline.networks import trained
    from pipeline.networks.features import FeatureRequest
    from pipeline.networks.network import PrototypeClassifier

    views, rules = settings.adapt.target_views, rules_of(settings)
    if rules.nothing:  # then the prototypes are not needed
        encoder = trained.pretrained_network(settings.model).encoder
        return FeatureRequest.of_target(encoder, data, views, settings.augment)
    model = trained.open_model(paths.PROTOTYPES).model
    assert isinstance(model, PrototypeClassifier)
    source = None if rules.restoration == "never" else PreparedData.open(settings.source)
    return FeatureRequest.of_target(model.network.encoder, data, views, settings.augment, rules, model, source)


if __name__ == "__main__":
    run(main)
