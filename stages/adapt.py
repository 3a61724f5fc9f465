"""The adapt stage: the source model adapted to one unlabelled target by ``adapt.method`` (stage 2, eqs. 5-16)."""

import pandas as pd
import torch

from pipeline import layout, models, params, trained, training
from pipeline.batches import DeviceCrops
from pipeline.checkpoints import Checkpoint
from pipeline.files import atomic_path
from pipeline.methods import METHODS, SourceDomain, TargetDomain
from pipeline.params import Params
from pipeline.prepared import Prepared
from pipeline.stage import run
from pipeline.tables import write_csv
from pipeline.team import Team
from pipeline.tracking import stage_run


def main(target: str) -> None:
    """Adapt to TARGET without its labels; write models/adapted/TARGET, its predictions by epoch and the curve."""
    settings = params.load()
    with Team.start(settings.device, settings.compute) as team:
        train(settings, target, team)


def train(settings: Params, target: str, team: Team) -> None:
    """One process of the team."""
    source_data, target_data = Prepared.open(settings.source), Prepared.open(target)
    training.prepare(settings.seed, team.device)
    source_model, source_description = trained.source_model(settings.model)
    source_crops = DeviceCrops(source_data.store.images, team.device)
    target_crops = DeviceCrops(target_data.store.images, team.device)
    method = METHODS[settings.adapt.method](
        source_model.network,
        source_model.prototypes,
        SourceDomain(source_crops, source_data.train_rows, source_data.source_labels()),
        TargetDomain(target_crops, target_data.train_rows, target_data.test_rows),
        settings.adapt,
        settings.augment,
        settings.seed,
        team,
    )
    description = {
        **source_description,
        "stage": "adapt",
        "prototypes_sha256": source_description["weights_sha256"],
        "target": target_data.description(),
        "adapt": settings.adapt.model_dump(),
        "compute": {"precision": team.precision, "compile": settings.compute.compile},
    }
    checkpoint = Checkpoint(layout.checkpoint(f"adapt-{target}"), training.fingerprint(description))
    if not team.leads:
        training.follow(method, checkpoint, team)
        method.predict_test()
        return
    with stage_run(settings, "adapt", target, checkpoint) as tracked:
        tracked.log_tags(team.tags())
        tracked.log_dataset(source_data.store, source_data.split.train, "source")
        tracked.log_dataset(target_data.store, target_data.split.train, "target")
        curve = training.fit(method, checkpoint, tracked.log, team)
        method.predict_test()
        modules = {
            "network": method.network,
            "source_prototypes": method.source_prototypes,
            "prototypes": method.target_prototypes,
        }
        models.save(layout.adapted(target), modules, description)
        write_epochs(target, method.predictions)
        write_csv(
            layout.curve(f"adapt-{target}"), pd.DataFrame(curve, columns=list(curve[0]) if curve else ["epoch", "loss"])
        )
        files = [layout.adapted(target) / models.DESCRIPTION_FILE, layout.curve(f"adapt-{target}")]
        tracked.log_files(files, "adapt")
        name = f"{settings.tracking.experiment}-{target}"
        tracked.log_model(trained.adapted_model(settings.model, target), registered_name=name)
    checkpoint.remove()


def write_epochs(target: str, predictions: list[torch.Tensor]) -> None:
    """One column an epoch (0: before adaptation), one row a test picture, the predicted class as uint8."""
    table = pd.DataFrame({f"epoch_{epoch}": rows.numpy() for epoch, rows in enumerate(predictions)})
    with atomic_path(layout.epochs(target)) as temporary:
        table.to_parquet(temporary, index=False)


if __name__ == "__main__":
    run(main)
