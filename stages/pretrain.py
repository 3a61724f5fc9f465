"""The pretrain stage: stage 1, encoder and projection head trained on the source (``pretrain.objective``)."""

import pandas as pd

from pipeline.command_line import run
from pipeline.compute.team import Team
from pipeline.config import dependencies, paths
from pipeline.config.load import load
from pipeline.config.schema import Params
from pipeline.data.batches import DeviceCrops
from pipeline.data.prepared import PreparedData
from pipeline.files.io import write_csv
from pipeline.networks import saved, trained
from pipeline.networks.initial_weights import load_initial, measure, without_statistics
from pipeline.networks.network import Network
from pipeline.source_model.pretraining import Pretraining
from pipeline.tracking.runs import stage_run
from pipeline.training import loop
from pipeline.training.checkpoints import Checkpoint


def main() -> None:
    """Train f and g on the source; write models/pretrained and the loss curve."""
    settings = load()
    with Team.start(settings.device, settings.compute) as team:
        train(settings, team)


def train(settings: Params, team: Team) -> None:
    """Train in one process of the team."""
    data = PreparedData.open(settings.source)
    loop.prepare(settings.seed, team.device)
    network = Network(settings.model)
    crops = DeviceCrops(data.store.images, team.device)
    initial = load_initial(network.encoder, settings.model)
    if without_statistics(settings.model):
        measure(network.encoder.to(team.device), crops, data.train_rows, settings.augment.eval_crop)
    description = {
        "stage": "pretrain",
        "source": data.description(),
        "seed": settings.seed,
        "model": settings.model.model_dump(),
        "augment": settings.augment.model_dump(),
        "pretrain": settings.pretrain.model_dump(),
        "compute": team.compute_settings(),
        "initial_weights": initial,
    }
    task = Pretraining(
        network,
        crops,
        data.train_rows,
        data.source_labels(),
        settings.pretrain,
        settings.augment,
        settings.seed,
        team,
    )
    checkpoint = Checkpoint(
        paths.checkpoint("pretrain"), {**description, "code": dependencies.code_digests("pretrain", settings)}
    )
    if not team.leads:
        loop.follow(task, checkpoint, team)
        return
    with stage_run(settings, "pretrain", checkpoint=checkpoint) as tracked:
        tracked.log_tags(team.tags())
        tracked.log_dataset(data.store, data.split.train, "train")
        curve = loop.fit(task, checkpoint, tracked.log, team)
        made = {**description, "environment": {"pretrain": team.environment()}}
        saved.save(paths.PRETRAINED, {"network": task.trained}, made)
        write_csv(paths.curve("pretrain"), pd.DataFrame(curve))
        tracked.log_files([paths.model_description(paths.PRETRAINED), paths.curve("pretrain")], "pretrain")
        tracked.log_model(trained.pretrained_network(settings.model))
    checkpoint.remove()


if __name__ == "__main__":
    run(main)
