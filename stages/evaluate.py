"""The evaluate stage: scores of the source model (DT) and of the adapted model on one target's test part."""

from typing import Any

import numpy as np

from pipeline.command_line import run
from pipeline.config import paths
from pipeline.config.dependencies import flatten, result_params
from pipeline.config.load import load
from pipeline.config.preflight import require_target
from pipeline.config.schema import Params
from pipeline.data.outcome import Outcome
from pipeline.data.prepared import PreparedData
from pipeline.evaluation import calibration, scorecard
from pipeline.files.io import read_csv, read_json, read_parquet, write_csv, write_json
from pipeline.labels import EXPRESSIONS
from pipeline.tracking.runs import StageRun, stage_run


def main(target: str) -> None:
    """Score TARGET before and after adaptation; write reports/evaluate/TARGET and data/predictions/TARGET.csv."""
    settings = load()
    require_target(settings, target)
    source, data = PreparedData.open(settings.source), PreparedData.open(target)
    folder = paths.evaluation(target)
    outcome = Outcome.read(paths.outcome(target))
    with stage_run(settings, "evaluate", target) as tracked:
        tracked.log_dataset(data.store, data.split.test, "test")
        by_epoch = read_parquet(paths.epochs(target)).to_numpy(dtype=np.uint8).T
        scores = scorecard.score(data, outcome, by_epoch, settings.evaluate, settings.seed)
        points = scorecard.tsne_points(source, data, outcome, settings.evaluate.tsne_samples, settings.seed)
        model = read_json(paths.model_description(paths.adapted(target)))
        temperature = model["temperature"]
        source_labels, test = source.store.labels()[outcome.source.rows], data.split.test
        errors, reliability = calibration.measured(
            outcome.after, temperature, source_labels, test, data.store.labels()[test]
        )
        tables = {"tsne": points, "reliability": reliability, **scorecard.plot_tables(scores)}
        for name, table in tables.items():
            write_csv(folder / f"{name}.csv", table)
        probabilities = calibration.rescaled(outcome.after.probabilities, temperature)
        write_csv(paths.predictions(target), scorecard.predictions_table(data, probabilities))
        metrics = scorecard.headline(scores)
        possible = [EXPRESSIONS.index(name) for name in settings.split[target].classes or EXPRESSIONS]
        judged: dict[str, Any] = scorecard.unlabelled_scores(outcome, source_labels, possible)
        if scores:
            validations = read_csv(paths.validations(target), len(by_epoch))
            judged["choices"] = scorecard.chosen_epochs(validations, scores["by_epoch"])
        write_json(folder / "metrics.json", metrics)
        write_json(folder / "result.json", result(settings, source, data, model, scores, judged, errors, tracked))
        tracked.log({key: float(value) for key, value in flatten(metrics).items()}, settings.adapt.epochs)
        names = ("metrics.json", "result.json", *(f"{name}.csv" for name in tables))
        tracked.log_files([folder / name for name in names], "evaluate")


def result(
    settings: Params,
    source: PreparedData,
    data: PreparedData,
    model: dict[str, Any],
    scores: dict[str, Any],
    judged: dict[str, Any],
    errors: dict[str, Any],
    tracked: StageRun,
) -> dict[str, Any]:
    """All that the report needs to know of this target: what was run on what, and what came out.

    model: the description of the adapted one.
    """
    return {
        "source": settings.source,
        "target": data.name,
        "method": settings.adapt.method,
        "adapts": settings.adapt.adapts,
        "without": settings.adapt.left_out(),
        "provenance": {
            "source": source.store.description["provenance"],
            "target": data.store.description["provenance"],
        },
        "backbone": settings.model.backbone,
        "weights": settings.model.weights,
        "seed": settings.seed,
        "epochs": {
            "pretrain": settings.pretrain.epochs,
            "prototypes": settings.prototypes.epochs,
            "adapt": settings.adapt.epochs,
        },
        "parameters": result_params(settings, data.name),
        "kept_epoch": model["kept_epoch"],
        "environment": model["environment"],
        "split": read_json(paths.split_report(data.name)),
        "n_train": len(data.split.train),
        "n_test": len(data.split.test),
        "before": scores.get("before"),
        "after": scores.get("after"),
        "oracle": scores.get("oracle"),
        "right": scores.get("right"),
        "unlabelled": judged,
        "calibration": errors,
        "revision": tracked.execution.revision,
        "experiment": tracked.execution.experiment,
        "run_id": tracked.id,
    }


if __name__ == "__main__":
    run(main)
