"""The prototypes stage: the source prototypes M_s (eq. 2) and the source model's score on the source's test part."""

import pandas as pd
import torch

from pipeline import evaluation, layout, models, params, training
from pipeline.batches import DeviceCrops
from pipeline.checkpoints import Checkpoint
from pipeline.files import write_json
from pipeline.inference import project
from pipeline.nets import AdaptedNetwork, Network, Prototypes
from pipeline.prepared import Prepared
from pipeline.source_prototypes import PrototypeLearning
from pipeline.stage import run
from pipeline.tables import write_csv
from pipeline.team import Team
from pipeline.tracking import stage_run


def main() -> None:
    """Learn M_s on the frozen projections of the source; write models/prototypes, the curve and reports/source.json."""
    settings = params.load()
    # It takes seconds, so one device does it.
    team = Team.alone(settings.device)
    on = team.device
    data = Prepared.open(settings.source)
    training.prepare(settings.seed, on)
    network = Network(settings.model).to(on)
    pretrained = models.load(layout.PRETRAINED, {"network": network})
    prototypes = Prototypes(settings.model.projection_dim)
    description = {
        **pretrained,
        "stage": "prototypes",
        "pretrained_sha256": pretrained["weights_sha256"],
        "prototypes": settings.prototypes.model_dump(),
    }
    checkpoint = Checkpoint(layout.checkpoint("prototypes"), training.fingerprint(description))
    with stage_run(settings, "prototypes", checkpoint=checkpoint) as tracked:
        tracked.log_dataset(data.store, data.split.train, "train")
        tracked.log_dataset(data.store, data.split.test, "test")
        crops, labels = DeviceCrops(data.store.images, on), data.source_labels()
        projections = project(network, crops, data.train_rows, settings.augment.eval_crop)
        train_labels = labels[data.train_rows].to(on)
        task = PrototypeLearning(prototypes, projections, train_labels, settings.prototypes, settings.seed)
        curve = training.fit(task, checkpoint, tracked.log, team)
        models.save(layout.PROTOTYPES, {"prototypes": prototypes}, description)
        write_csv(layout.curve("prototypes"), pd.DataFrame(curve))

        with torch.no_grad():
            logits = prototypes(project(network, crops, data.test_rows, settings.augment.eval_crop))
        score = evaluation.score(
            labels[data.test_rows].numpy(),
            logits.argmax(dim=1).cpu().numpy(),
            settings.evaluate.bootstrap,
            settings.seed,
        )
        report = {
            "dataset": data.name,
            "provenance": data.store.description["provenance"],
            "accuracy": score["accuracy"],
            "macro_f1": score["macro_f1"],
            "n_test": len(data.split.test),
        }
        write_json(layout.SOURCE_REPORT, report)
        tracked.log(
            {"test_accuracy": score["accuracy"], "test_macro_f1": score["macro_f1"]}, settings.prototypes.epochs
        )
        files = [layout.PROTOTYPES / models.DESCRIPTION_FILE, layout.curve("prototypes"), layout.SOURCE_REPORT]
        tracked.log_files(files, "prototypes")
        tracked.log_model(AdaptedNetwork(network, prototypes))
    checkpoint.remove()


if __name__ == "__main__":
    run(main)
