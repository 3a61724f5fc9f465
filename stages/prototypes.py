"""The prototypes stage: the source prototypes M_s on the frozen encoder and projection head (eq. 2)."""

import pandas as pd
from torch import Tensor

from pipeline.command_line import run
from pipeline.compute.team import Team
from pipeline.config import dependencies, paths
from pipeline.config.load import load
from pipeline.data.batches import DeviceCrops
from pipeline.data.prepared import PreparedData
from pipeline.evaluation import scores
from pipeline.evaluation.records import SourceMetrics, SourceReport
from pipeline.files.io import write_csv
from pipeline.files.records import write_record
from pipeline.losses.classification import class_shares
from pipeline.networks import saved
from pipeline.networks.calibration import fitted_temperature
from pipeline.networks.grey_levels import GreyLevels, count_levels
from pipeline.networks.inference import classify, project
from pipeline.networks.network import Decision, PrototypeClassifier
from pipeline.networks.statistics import ClassStatistics
from pipeline.source_model.prototypes import PrototypeLearning
from pipeline.tracking.descriptions import with_units
from pipeline.tracking.runs import stage_run
from pipeline.training import loop
from pipeline.training.checkpoints import Checkpoint


def main() -> None:
    """Learn M_s on frozen projections of the source; write models/prototypes, the curve and reports/source.json."""
    settings = load()
    # This takes seconds, so one device is enough.
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
        levels: list[Tensor] = []
        projections = project(
            model.network,
            crops,
            data.train_rows,
            settings.augment.eval_crop,
            lambda views: levels.append(count_levels(views)),
        )
        train_labels = labels[data.train_rows].to(on)
        model.statistics = ClassStatistics.of(projections, train_labels)
        model.grey_levels = GreyLevels.counted(levels)
        task = PrototypeLearning(model.prototypes, projections, train_labels, settings.prototypes, settings.seed)
        curve = loop.fit(task, checkpoint, tracked.log, team)
        model.decision.adjust(task.trained_shares, settings.prototypes.logit_adjustment)
        found = classify(model, crops, data.test_rows, settings.augment.eval_crop)[1]
        own = by_own_shares(model.decision, found, task.trained_shares, train_labels)
        metrics = source_metrics(data, model, found, own, labels[data.test_rows])
        environment = {**pretrained["environment"], "prototypes": team.environment()}
        made = {**description, "environment": environment}
        saved.save(paths.PROTOTYPES, {name: part for name, part in model.named_children() if name != "network"}, made)
        write_csv(paths.curve("prototypes"), pd.DataFrame(curve))
        write_record(paths.SOURCE_REPORT, SourceReport(source=metrics))
        numbers = metrics.model_dump(exclude={"dataset", "provenance", "n_test"})
        tracked.log(with_units({f"test_{key}": value for key, value in numbers.items()}), settings.prototypes.epochs)
        files = [paths.model_description(paths.PROTOTYPES), paths.curve("prototypes"), paths.SOURCE_REPORT]
        tracked.log_files(files, "prototypes")
        tracked.log_model(model, made)
    checkpoint.remove()


def by_own_shares(decision: Decision, found: Tensor, trained_shares: Tensor, train_labels: Tensor) -> Tensor:
    """Return the probabilities under the source's own class prior, whatever prior the model assumes for targets.

    They make source models with different class weights and logit adjustments comparable.

    Args:
        decision: the model's decision, with its logit adjustment.
        found: probabilities by ``decision``, N×k float.
        trained_shares: class shares in training, class weights included, k float.
        train_labels: labels of the training pictures, int64.

    Returns:
        Probabilities, N×k float.
    """
    # The logits contain the class shares times the class weights. Without the weights the source's own prior is left.
    relative_weights = trained_shares / class_shares(train_labels)
    return decision.convert(found, decision.adjusted(relative_weights, 1.0))


def source_metrics(
    data: PreparedData, model: PrototypeClassifier, found: Tensor, own: Tensor, test_labels: Tensor
) -> SourceMetrics:
    """Fit the model's temperature on the source's test rows and return its scores there.

    Args:
        data: the source.
        model: the source model; its temperature is set.
        found: the model's probabilities for the test rows, N×k float.
        own: the same under the source's own class prior, N×k float.
        test_labels: N int64.
    """
    probabilities, labels = found.cpu().numpy(), test_labels.numpy()
    model.calibration.temperature.fill_(fitted_temperature(probabilities, labels))
    score = scores.score(labels, probabilities.argmax(axis=1))
    return SourceMetrics(
        dataset=data.name,
        provenance=data.store.description["provenance"],
        accuracy=score.accuracy,
        balanced_accuracy=score.balanced_accuracy,
        macro_f1=score.macro_f1,
        own_shares_accuracy=scores.score(labels, own.cpu().numpy().argmax(axis=1)).accuracy,
        n_test=len(data.split.test),
    )


if __name__ == "__main__":
    run(main)
