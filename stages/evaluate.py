"""The evaluate stage: scores of the source model (DT) and of the adapted model on a target's test rows."""

import numpy as np

from pipeline.command_line import run
from pipeline.config import paths
from pipeline.config.dependencies import flatten
from pipeline.config.load import load
from pipeline.config.preflight import require_target
from pipeline.data.outcome import Outcome
from pipeline.data.prepared import PreparedData
from pipeline.evaluation import scorecard
from pipeline.evaluation.evaluated import Origin, evaluate
from pipeline.files.io import read_csv, read_json, read_parquet, write_csv, write_json
from pipeline.files.records import write_record
from pipeline.networks.calibration import rescaled
from pipeline.progress import working
from pipeline.tracking.descriptions import with_units
from pipeline.tracking.runs import stage_run


def main(target: str) -> None:
    """Score TARGET before and after adaptation; write reports/evaluate/TARGET and data/predictions/TARGET.csv."""
    settings = load()
    require_target(settings, target)
    source, data = PreparedData.open(settings.source), PreparedData.open(target)
    outcome = Outcome.read(paths.outcome(target))
    with stage_run(settings, "evaluate", target) as tracked:
        tracked.log_dataset(data.store, data.split.test, "test")
        by_epoch = read_parquet(paths.epochs(target)).to_numpy(dtype=np.uint8).T
        validations = read_csv(paths.validations(target), len(by_epoch))
        model = read_json(paths.model_description(paths.adapted(target)))
        origin = Origin(tracked.execution.revision, tracked.execution.experiment, tracked.id)
        with working(f"evaluate {target}: scores"):
            found = evaluate(settings, source, data, outcome, by_epoch, validations, model, origin)
        with working(f"evaluate {target}: t-SNE"):
            points = scorecard.tsne_points(source, data, outcome, settings.evaluate.tsne_samples, settings.seed)
        tables = {"tsne": points, "reliability": found.reliability, **scorecard.plot_tables(found.scores)}
        for name, table in tables.items():
            write_csv(paths.evaluation_table(target, name), table)
        probabilities = rescaled(outcome.after.probabilities, model["temperature"])
        write_csv(paths.predictions(target), scorecard.predictions_table(data, probabilities))
        metrics = scorecard.headline(found.scores)
        write_json(paths.metrics(target), metrics)
        write_record(paths.result(target), found.result)
        tracked.log(with_units({key: float(value) for key, value in flatten(metrics).items()}), settings.adapt.passes)
        written = [paths.metrics(target), paths.result(target)]
        tracked.log_files([*written, *(paths.evaluation_table(target, name) for name in tables)], "evaluate")


if __name__ == "__main__":
    run(main)
