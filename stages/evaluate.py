"""The evaluate stage: scores of the source model (DT) and of the adapted model on a target's test rows."""

from collections.abc import Sequence

import numpy as np

from pipeline.command_line import run
from pipeline.config import paths
from pipeline.config.dependencies import flatten, result_params
from pipeline.config.load import load
from pipeline.config.preflight import require_target
from pipeline.config.schema import Params
from pipeline.data.outcome import Outcome
from pipeline.data.prepared import PreparedData
from pipeline.evaluation import scorecard
from pipeline.evaluation.records import CalibrationScores, Candidate, Epochs, ProvenancePair, Result, Unlabelled
from pipeline.evaluation.scorecard import Scores
from pipeline.files.io import read_csv, read_json, read_parquet, write_csv, write_json
from pipeline.files.records import read_record, write_record
from pipeline.labels import EXPRESSIONS
from pipeline.networks.calibration import rescaled
from pipeline.progress import working
from pipeline.splits.report import SplitReport
from pipeline.tracking.descriptions import with_units
from pipeline.tracking.runs import StageRun, stage_run


def main(target: str) -> None:
    """Score TARGET before and after adaptation; write reports/evaluate/TARGET and data/predictions/TARGET.csv."""
    settings = load()
    require_target(settings, target)
    source, data = PreparedData.open(settings.source), PreparedData.open(target)
    outcome = Outcome.read(paths.outcome(target))
    with stage_run(settings, "evaluate", target) as tracked:
        tracked.log_dataset(data.store, data.split.test, "test")
        by_epoch = read_parquet(paths.epochs(target)).to_numpy(dtype=np.uint8).T
        with working(f"evaluate {target}: scores"):
            scores = scorecard.score(data, outcome, by_epoch, settings.evaluate, settings.seed)
        with working(f"evaluate {target}: t-SNE"):
            points = scorecard.tsne_points(source, data, outcome, settings.evaluate.tsne_samples, settings.seed)
        model = read_json(paths.model_description(paths.adapted(target)))
        temperature = model["temperature"]
        source_labels, test = source.store.labels()[outcome.source.rows], data.split.test
        calibrated, reliability = scorecard.calibration_scores(
            outcome.after, temperature, source_labels, test, data.store.labels()[test]
        )
        possible = [EXPRESSIONS.index(name) for name in settings.split[target].classes or EXPRESSIONS]
        unlabelled = scorecard.unlabelled_scores(outcome, source_labels, possible)
        validations = read_csv(paths.validations(target), len(by_epoch))
        if scores is not None:
            choices = scorecard.chosen_epochs(validations, scores.by_epoch, settings.adapt.search > 0)
            unlabelled = unlabelled.model_copy(update={"choices": choices})
        searched = scorecard.candidates(model.get("candidates", []), validations, scores)
        tables = {"tsne": points, "reliability": reliability, **scorecard.plot_tables(scores)}
        for name, table in tables.items():
            write_csv(paths.evaluation_table(target, name), table)
        probabilities = rescaled(outcome.after.probabilities, temperature)
        write_csv(paths.predictions(target), scorecard.predictions_table(data, probabilities))
        metrics = scorecard.headline(scores)
        write_json(paths.metrics(target), metrics)
        write_record(
            paths.result(target), result(settings, source, data, scores, unlabelled, calibrated, searched, tracked)
        )
        tracked.log(with_units({key: float(value) for key, value in flatten(metrics).items()}), settings.adapt.passes)
        written = [paths.metrics(target), paths.result(target)]
        tracked.log_files([*written, *(paths.evaluation_table(target, name) for name in tables)], "evaluate")


def result(
    settings: Params,
    source: PreparedData,
    data: PreparedData,
    scores: Scores | None,
    unlabelled: Unlabelled,
    calibrated: CalibrationScores,
    searched: Sequence[Candidate],
    tracked: StageRun,
) -> Result:
    """Return the target's result: what was run on which data, and the scores. The report reads nothing else.

    Args:
        settings: the parameters of the run.
        source: the source data.
        data: the target data.
        scores: the scores by the target's labels; None if it has none.
        unlabelled: the label-free scores.
        calibrated: the calibration errors with and without the temperature.
        searched: the configurations that a search has trained.
        tracked: the MLflow run.
    """
    model = read_json(paths.model_description(paths.adapted(data.name)))
    return Result(
        source=settings.source,
        target=data.name,
        method=settings.adapt.method,
        adapts=settings.adapt.adapts,
        without=tuple(settings.adapt.left_out()),
        provenance=ProvenancePair(
            source=source.store.description["provenance"],
            target=data.store.description["provenance"],
        ),
        backbone=settings.model.backbone,
        weights=settings.model.weights,
        seed=settings.seed,
        epochs=Epochs(
            pretrain=settings.pretrain.epochs,
            prototypes=settings.prototypes.epochs,
            adapt=settings.adapt.passes,
        ),
        parameters=result_params(settings, data.name),
        kept_epoch=model["kept_epoch"],
        encoder_statistics=model["encoder_statistics"]["chosen"],
        histogram_matched=model["encoder_statistics"]["matched"],
        features_restored=model["encoder_statistics"]["restored"],
        candidates=tuple(searched),
        own_share=model.get("own_share"),
        environment=model["environment"],
        split=read_record(SplitReport, paths.split_report(data.name), f"dvc repro split@{data.name}"),
        n_train=len(data.split.train),
        n_test=len(data.split.test),
        before=scores.before if scores else None,
        after=scores.after if scores else None,
        oracle=scores.oracle if scores else None,
        tested=scores.tested if scores else None,
        unlabelled=unlabelled,
        calibration=calibrated,
        revision=tracked.execution.revision,
        experiment=tracked.execution.experiment,
        run_id=tracked.id,
    )


if __name__ == "__main__":
    run(main)
