"""The pretrain stage: stage 1 of the method, encoder and projection head trained on the source (eq. 4)."""

import pandas as pd

from pipeline import device, layout, models, params, training
from pipeline.batches import DeviceCrops
from pipeline.nets import Network
from pipeline.prepared import Prepared
from pipeline.pretrained import load_pretrained
from pipeline.pretraining import Pretraining
from pipeline.stage import run
from pipeline.tables import write_csv
from pipeline.tracking import stage_run


def main() -> None:
    """Train f and g on the source and write models/pretrained and the curve of the loss."""
    settings = params.load()
    on = device.pick(settings.device)
    data = Prepared.open(settings.source)
    with stage_run(settings, "pretrain") as tracked:
        tracked.log_dataset(data.store, data.split.train, "train")
        training.prepare(settings.seed, on)
        network = Network(settings.model)
        description = {
            "stage": "pretrain",
            "source": data.description(),
            "seed": settings.seed,
            "model": settings.model.model_dump(),
            "augment": settings.augment.model_dump(),
            "pretrain": settings.pretrain.model_dump(),
            "initial_weights": load_pretrained(network.encoder, settings.model),
        }
        task = Pretraining(
            network,
            DeviceCrops(data.store.images, on),
            data.train_rows,
            data.source_labels(),
            settings.pretrain,
            settings.augment,
            settings.seed,
        )
        checkpoint = layout.checkpoint("pretrain")
        curve = training.fit(task, checkpoint, training.fingerprint(description), tracked.log)
        models.save(layout.PRETRAINED, {"network": network}, description)
        write_csv(layout.curve("pretrain"), pd.DataFrame(curve))
        tracked.log_files([layout.PRETRAINED / models.DESCRIPTION_FILE, layout.curve("pretrain")], "pretrain")
        tracked.log_model(network)
    checkpoint.unlink()


if __name__ == "__main__":
    run(main)
