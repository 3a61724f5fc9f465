"""The adapt stage: the source model adapted to one unlabelled target by ``adapt.method`` (stage 2)."""

import numpy as np
import pandas as pd
import torch

from pipeline.command_line import run
from pipeline.compute.team import Team
from pipeline.config import code, layout
from pipeline.config.load import load
from pipeline.config.preflight import require_target
from pipeline.config.schema import Params
from pipeline.data.batches import DeviceCrops
from pipeline.data.outcome import Outcome, Sample
from pipeline.data.prepared import Prepared
from pipeline.files import atomic_path, write_csv
from pipeline.labels import EXPRESSIONS
from pipeline.methods import SourceDomain, TargetDomain, implementation
from pipeline.networks import saved, trained
from pipeline.networks.inference import predict_domains
from pipeline.networks.network import PrototypeClassifier
from pipeline.tracking.runs import stage_run
from pipeline.training import loop
from pipeline.training.checkpoints import Checkpoint


def main(target: str) -> None:
    """Adapt to TARGET without its labels; write models/adapted/TARGET, its predictions and the curve."""
    settings = load()
    require_target(settings, target)
    with Team.start(settings.device, settings.compute) as team:
        train(settings, target, team)


def train(settings: Params, target: str, team: Team) -> None:
    """One process of the team."""
    source_data, target_data = Prepared.open(settings.source), Prepared.open(target)
    loop.prepare(settings.seed, team.device)
    opened = trained.opened(layout.PROTOTYPES)
    source_model, source_description = opened.model, opened.description
    assert isinstance(source_model, PrototypeClassifier)
    if known := settings.split[target].classes:
        source_model.decision.restrict(EXPRESSIONS.index(name) for name in known)
    source_crops, target_crops = (DeviceCrops(data.store.images, team.device) for data in (source_data, target_data))
    samples = (
        Sample.draw(source_data.split.test, settings.seed),
        Sample.draw(np.union1d(target_data.split.train, target_data.split.test), settings.seed),
    )
    eval_crop = settings.augment.eval_crop
    method = implementation(settings.adapt)(
        source_model,
        SourceDomain(source_crops, source_data.train_rows, source_data.source_labels(), source_data.test_rows),
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
        "known_classes": settings.split[target].classes,
        "adapt": settings.adapt.model_dump(),
        "compute": team.computes(),
    }
    checkpoint = Checkpoint(
        layout.checkpoint(f"adapt-{target}"), {**description, "code": code.digests("adapt", settings, type(method))}
    )
    if not team.leads:
        loop.follow(method, checkpoint, team)
        method.predict_target()
        return
    with stage_run(settings, "adapt", target, checkpoint) as tracked:
        tracked.log_tags(team.tags())
        tracked.log_dataset(source_data.store, source_data.split.train, "source")
        tracked.log_dataset(target_data.store, target_data.split.train, "target")
        # Here the source model is still what it was: a checkpoint is taken over within ``fit``.
        before = predict_domains(source_model, source_crops, target_crops, samples, eval_crop)
        curve = loop.fit(method, checkpoint, tracked.log, team)
        method.predict_target()
        environment = {**source_description["environment"], "adapt": team.environment()}
        saved.save(layout.adapted(target), method.modules(), {**description, "environment": environment})
        write_epochs(target, method.predictions)
        validations = pd.DataFrame(method.validations).rename_axis("epoch").reset_index()
        write_csv(layout.validations(target), validations)
        after = predict_domains(method.model, source_crops, target_crops, samples, eval_crop)
        Outcome(*samples, before, after).write(layout.outcome(target))
        columns = list(curve[0]) if curve else ["epoch", "loss"]
        write_csv(layout.curve(f"adapt-{target}"), pd.DataFrame(curve, columns=columns))
        files = [
            layout.model_description(layout.adapted(target)),
            layout.curve(f"adapt-{target}"),
            layout.validations(target),
        ]
        tracked.log_files(files, "adapt")
        name = f"{settings.tracking.experiment}-{target}"
        adapted = trained.opened(layout.adapted(target))
        tracked.log_model(adapted.model, adapted.description, name)
    checkpoint.remove()


def write_epochs(target: str, predictions: list[torch.Tensor]) -> None:
    """One column an epoch (0: before adaptation), one row a test picture, the predicted class as uint8."""
    table = pd.DataFrame({f"epoch_{epoch}": rows.numpy() for epoch, rows in enumerate(predictions)})
    with atomic_path(layout.epochs(target)) as temporary:
        table.to_parquet(temporary, index=False)


if __name__ == "__main__":
    run(main)
