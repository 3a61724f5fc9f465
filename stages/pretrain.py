"""The pretrain stage: stage 1 of the method, encoder and projection head trained on the source (eq. 4)."""

import pandas as pd

from pipeline import layout, models, params, trained, training
from pipeline.batches import DeviceCrops
from pipeline.checkpoints import Checkpoint
from pipeline.nets import Network
from pipeline.params import Params
from pipeline.prepared import Prepared
from pipeline.pretrained import load_pretrained
from pipeline.pretraining import Pretraining
from pipeline.stage import run
from pipeline.tables import write_csv
from pipeline.team import Team
from pipeline.tracking import stage_run


def main() -> None:
    """Train f and g on the source and write models/pretrained and the curve of the loss."""
    settings = params.load()
    with Team.start(settings.device, settings.compute) as team:
        train(settings, team)


def train(settings: Params, team: Team) -> None:
    """One process of the team."""
    data = Prepared.open(settings.source)
    training.prepare(settings.seed, team.device)
    network = Network(settings.model)
    description = {
        "stage": "pretrain",
        "source": data.description(),
        "seed": settings.seed,
        "model": settings.model.model_dump(),
        "augment": settings.augment.model_dump(),
        "pretrain": settings.pretrain.model_dump(),
        "compute": {"precision": team.precision, "compile": settings.compute.compile},
        "initial_weights": load_pretrained(network.encoder, settings.model),
    }
    task = Pretraining(
        network,
        DeviceCrops(data.store.images, team.device),
        data.train_rows,
        data.source_labels(),
        settings.pretrain,
        settings.augment,
        settings.seed,
        team,
    )
    checkpoint = Checkpoint(layout.checkpoint("pretrain"), training.fingerprint(description))
    if not team.leads:
        training.follow(task, checkpoint, team)
        return
    with stage_run(settings, "pretrain", checkpoint=checkpoint) as tracked:
        tracked.log_tags(team.tags())
        tracked.log_dataset(data.store, data.split.train, "train")
        curve = training.fit(task, checkpoint, tracked.log, team)
        models.save(layout.PRETRAINED, {"network": network}, description)
        write_csv(layout.curve("pretrain"), pd.DataFrame(curve))
        tracked.log_files([layout.PRETRAINED / models.DESCRIPTION_FILE, layout.curve("pretrain")], "pretrain")
        tracked.log_model(trained.network(settings.model))
    checkpoint.remove()


if __name__ == "__main__":
    run(main)
