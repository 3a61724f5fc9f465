"""The prototypes stage: the source prototypes M_s on the frozen encoder and projection head (eq. 2)."""

import pandas as pd
from torch import Tensor

from pipeline.command_line import run
from pipeline.compute.team import Team
from pipeline.config import dependencies, paths
from pipeline.config.load import load
from pipeline.data.batches import DeviceCrops
from pipeline.data.prepared import PreparedData
from pipeline.evaluation import calibration, scores
from pipeline.files.io import write_csv, write_json
from pipeline.losses.classification import class_shares
from pipeline.networks import saved
from pipeline.networks.inference import classify, project
from pipeline.networks.network import Decision, PrototypeClassifier
from pipeline.source_model.prototypes import PrototypeLearning
from pipeline.tracking.runs import stage_run
from pipeline.training import loop
from pipeline.training.checkpoints import Checkpoint


def main() -> None:
    """Learn M_s on the frozen projections of the source; write models/prototypes, the curve and reports/source.json."""
    settings = load()
    # It takes seconds, so one device does it.
    team = Team.single_process(settings.device)
    on = team.device
    data = PreparedData.open(settings.source)
    loop.prepare(settings.seed, on)
    model = PrototypeClassifier.untrained(settings.model).to(on)
    pretrained = saved.load(paths.PRETRAINED, {"network": model.network})
    description = {
        **pretrained,
        "stage": "prototypes",
        "pretrained_sha256": pretrained["weights_sha256"],
        "prototypes": settings.prototypes.model_dump(),
    }
    checkpoint = Checkpoint(
        paths.checkpoint("prototypes"), {**description, "code": dependencies.code_digests("prototypes", settings)}
    )
    with stage_run(settings, "prototypes", checkpoint=checkpoint) as tracked:
        tracked.log_dataset(data.store, data.split.train, "train")
        tracked.log_dataset(data.store, data.split.test, "test")
        crops, labels = DeviceCrops(data.store.images, on), data.source_labels()
        projections = project(model.network, crops, data.train_rows, settings.augment.eval_crop)
        train_labels = labels[data.train_rows].to(on)
        task = PrototypeLearning(model.prototypes, projections, train_labels, settings.prototypes, settings.seed)
        curve = loop.fit(task, checkpoint, tracked.log, team)
        model.decision.adjust(task.trained_shares, settings.prototypes.logit_adjustment)
        found = classify(model, crops, data.test_rows, settings.augment.eval_crop)[1]
        own = by_own_shares(model.decision, found, task.trained_shares, train_labels)
        score = scored(model, found, own, labels[data.test_rows])
        environment = {**pretrained["environment"], "prototypes": team.environment()}
        made = {**description, "environment": environment}
        saved.save(paths.PROTOTYPES, {name: part for name, part in model.named_children() if name != "network"}, made)
        write_csv(paths.curve("prototypes"), pd.DataFrame(curve))
        known = {"dataset": data.name, "provenance": data.store.description["provenance"]}
        write_json(paths.SOURCE_REPORT, {"source": {**known, **score, "n_test": len(data.split.test)}})
        tracked.log({f"test_{key}": value for key, value in score.items()}, settings.prototypes.epochs)
        files = [paths.model_description(paths.PROTOTYPES), paths.curve("prototypes"), paths.SOURCE_REPORT]
        tracked.log_files(files, "prototypes")
        tracked.log_model(model, made)
    checkpoint.remove()


def by_own_shares(decision: Decision, found: Tensor, trained_shares: Tensor, train_labels: Tensor) -> Tensor:
    """The probabilities, N×k, that count the classes as the source has them, whatever is decided for the targets.

    With them source models of unlike class weights and logit adjustment can be compared. found: those of ``decision``,
    N×k. trained_shares: how much each class counted in the training, k.
    """
    # The logits know the classes as often as the training was told of them; taken back, their own shares are left.
    told = trained_shares / class_shares(train_labels)
    return decision.convert(found, decision.adjusted(told, 1.0))


def scored(model: PrototypeClassifier, found: Tensor, own: Tensor, test_labels: Tensor) -> dict[str, float]:
    """Fit the model's temperature on the test part of the source; returns what it scores there.

    found: its probabilities, N×k; own: those by the source's own shares.
    """
    probabilities, labels = found.cpu().numpy(), test_labels.numpy()
    model.calibration.temperature.fill_(calibration.temperature(probabilities, labels))
    score = scores.score(labels, probabilities.argmax(axis=1))
    by_own = scores.score(labels, own.cpu().numpy().argmax(axis=1))
    kept = {key: score[key] for key in ("accuracy", "balanced_accuracy", "macro_f1")}
    return {**kept, "own_shares_accuracy": by_own["accuracy"]}


if __name__ == "__main__":
    run(main)
