"""The evaluate stage: scores of the source model (DT) and of the adapted model on one target's test part."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from pipeline import device, evaluation, layout, models, params
from pipeline.batches import DeviceCrops
from pipeline.files import write_json
from pipeline.inference import classify
from pipeline.labels import EXPRESSIONS
from pipeline.nets import AdaptedNetwork, Network, Prototypes
from pipeline.params import Params
from pipeline.prepared import Prepared
from pipeline.stage import run
from pipeline.tables import write_csv
from pipeline.tracking import StageRun, flatten, stage_run

ABLATIONS = ("l_in", "l_cross", "l_ad")


def main(target: str) -> None:
    """Score TARGET before and after adaptation; write reports/evaluate/TARGET and data/predictions/TARGET.csv."""
    settings = params.load()
    source, data = Prepared.open(settings.source), Prepared.open(target)
    folder = layout.evaluation(target)
    with stage_run(settings, "evaluate", target) as tracked:
        tracked.log_dataset(data.store, data.split.test, "test")
        probabilities, points = predict(settings, source, data)
        write_csv(folder / "tsne.csv", points)
        write_predictions(data, probabilities["after"])
        scores = score(settings, data, probabilities)
        write_plots(target, scores)
        write_json(folder / "metrics.json", headline(scores))
        write_json(folder / "result.json", result(settings, source, data, scores, tracked))
        tracked.log({key: float(value) for key, value in flatten(headline(scores)).items()}, settings.adapt.epochs)
        names = ("metrics.json", "result.json", "f1.csv", "confusion.csv", "accuracy.csv", "tsne.csv")
        tracked.log_files([folder / name for name in names], "evaluate")


def predict(settings: Params, source: Prepared, data: Prepared) -> tuple[dict[str, NDArray[np.float32]], pd.DataFrame]:
    """Probabilities of all the target's crops (N×k) before and after adaptation, and the t-SNE points of samples."""
    on = device.pick(settings.device)
    crops, source_crops = DeviceCrops(data.store.images, on), DeviceCrops(source.store.images, on)
    used = np.union1d(data.split.train, data.split.test)
    picked = evaluation.sample(used, settings.evaluate.tsne_samples, settings.seed)
    source_rows = evaluation.sample(source.split.test, settings.evaluate.tsne_samples, settings.seed)
    labels = np.concatenate([source.store.labels()[source_rows], data.store.labels()[picked]])
    domains = ["source"] * len(source_rows) + ["target"] * len(picked)
    probabilities, points = {}, []
    for moment, model in (("before", source_model(settings)), ("after", adapted_model(settings, data.name))):
        model.to(on)
        z, predicted = classify(model, crops, torch.arange(len(data.store.images)), settings.augment.eval_crop)
        z_source, _ = classify(model, source_crops, torch.from_numpy(source_rows), settings.augment.eval_crop)
        probabilities[moment] = predicted.cpu().numpy()
        both = torch.cat([z_source.cpu(), z.cpu()[torch.from_numpy(picked)]]).numpy()
        x, y = evaluation.tsne(both, settings.seed).T
        points.append(pd.DataFrame({"stage": moment, "domain": domains, "label": labels, "x": x, "y": y}))
    return probabilities, pd.concat(points)


def source_model(settings: Params) -> AdaptedNetwork:
    """f, g and M_s: what DT predicts with."""
    model = AdaptedNetwork(Network(settings.model), Prototypes(settings.model.projection_dim))
    models.load(layout.PRETRAINED, {"network": model.network})
    models.load(layout.PROTOTYPES, {"prototypes": model.prototypes})
    return model


def adapted_model(settings: Params, target: str) -> AdaptedNetwork:
    """f, g and M_t after the last epoch."""
    model = AdaptedNetwork(Network(settings.model), Prototypes(settings.model.projection_dim))
    models.load(layout.adapted(target), {"network": model.network, "prototypes": model.prototypes})
    return model


def score(settings: Params, data: Prepared, probabilities: dict[str, NDArray[np.float32]]) -> dict[str, Any]:
    """Scores on the test rows: before, after, oracle and the accuracy by epoch; empty for a target without labels."""
    test = data.split.test
    if len(test) == 0:
        return {}
    labels = data.store.labels()[test]
    by_epoch = pd.read_parquet(layout.epochs(data.name)).to_numpy(dtype=np.uint8).T
    scores: dict[str, Any] = {
        moment: evaluation.score(labels, values[test].argmax(axis=1), settings.evaluate.bootstrap, settings.seed)
        for moment, values in probabilities.items()
    }
    scores["oracle"] = evaluation.oracle(labels, by_epoch)
    scores["by_epoch"] = evaluation.accuracy_by_epoch(labels, by_epoch)
    return scores


def headline(scores: dict[str, Any]) -> dict[str, Any]:
    """What ``dvc metrics show`` and MLflow list; accuracies are fractions."""
    if not scores:
        return {"n_test": 0}
    before, after = scores["before"], scores["after"]
    return {
        "accuracy": after["accuracy"],
        "accuracy_low": after["interval"][0],
        "accuracy_high": after["interval"][1],
        "macro_f1": after["macro_f1"],
        "dt": {"accuracy": before["accuracy"], "macro_f1": before["macro_f1"]},
        "gain": after["accuracy"] - before["accuracy"],
        "oracle": scores["oracle"],
        "n_test": sum(after["support"]),
    }


def result(
    settings: Params, source: Prepared, data: Prepared, scores: dict[str, Any], tracked: StageRun
) -> dict[str, Any]:
    """All that the report needs to know of this target."""
    without = [name for name in ABLATIONS if not getattr(settings.adapt, f"use_{name}")]
    if settings.adapt.class_weights == "none":
        without.append("class_weights")
    return {
        "source": settings.source,
        "target": data.name,
        "method": settings.adapt.method,
        "without": without,
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
        "n_train": len(data.split.train),
        "n_test": len(data.split.test),
        "before": scores.get("before"),
        "after": scores.get("after"),
        "oracle": scores.get("oracle"),
        "revision": tracked.execution.revision,
        "experiment": tracked.execution.experiment,
        "run_id": tracked.id,
    }


def write_predictions(data: Prepared, probabilities: NDArray[np.float32]) -> None:
    """The adapted model's answer for every picture: source file, expression, confidence and all probabilities."""
    table = pd.DataFrame(probabilities, columns=[f"p_{name}" for name in EXPRESSIONS])
    table.insert(0, "picture", data.store.manifest["key"].to_numpy())
    table.insert(1, "expression", [EXPRESSIONS[index] for index in probabilities.argmax(axis=1)])
    table.insert(2, "confidence", probabilities.max(axis=1))
    write_csv(layout.predictions(data.name), table)


def write_plots(target: str, scores: dict[str, Any]) -> None:
    """The files behind ``dvc plots show``: F1 by class, test accuracy by epoch, and confusion, one row a picture."""
    folder = layout.evaluation(target)
    f1, confusion, accuracy = [], [], []
    if scores:
        for moment in ("before", "after"):
            f1 += [
                {"expression": f"{name}, {moment}", "f1": value}
                for name, value in zip(EXPRESSIONS, scores[moment]["f1"], strict=True)
            ]
        for actual, counts in zip(EXPRESSIONS, scores["after"]["confusion"], strict=True):
            for predicted, count in zip(EXPRESSIONS, counts, strict=True):
                confusion += [{"actual": actual, "predicted": predicted}] * count
        accuracy = [{"epoch": epoch, "accuracy": value} for epoch, value in enumerate(scores["by_epoch"])]
    write_csv(folder / "f1.csv", pd.DataFrame(f1, columns=["expression", "f1"]))
    write_csv(folder / "confusion.csv", pd.DataFrame(confusion, columns=["actual", "predicted"]))
    write_csv(folder / "accuracy.csv", pd.DataFrame(accuracy, columns=["epoch", "accuracy"]))


if __name__ == "__main__":
    run(main)
