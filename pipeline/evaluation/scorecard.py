"""What is said of one target: probabilities before and after adaptation, scores, and the tables made of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from pipeline.config.schema import EvaluateParams
from pipeline.data.batches import DeviceCrops
from pipeline.data.prepared import Prepared
from pipeline.evaluation import scores
from pipeline.labels import EXPRESSIONS
from pipeline.networks.inference import classify
from pipeline.networks.network import Classifier

Probabilities = dict[str, NDArray[np.float32]]
"""N×k for all crops of the target, under "before" (DT) and "after"."""


def predict(
    stages: Mapping[str, Classifier],
    source: Prepared,
    target: Prepared,
    params: EvaluateParams,
    eval_crop: float,
    device: torch.device,
    seed: int,
) -> tuple[Probabilities, pd.DataFrame]:
    """Probabilities of all the target's crops under each model of ``stages``, and t-SNE points of samples.

    The points: columns stage, domain, label, x, y; a sample of the source's test rows and one of the target's rows.
    """
    crops, source_crops = DeviceCrops(target.store.images, device), DeviceCrops(source.store.images, device)
    rows = torch.arange(len(target.store.images))
    used = np.union1d(target.split.train, target.split.test)
    target_sample = scores.sample(used, params.tsne_samples, seed)
    source_sample = scores.sample(source.split.test, params.tsne_samples, seed)
    labels = np.concatenate([source.store.labels()[source_sample], target.store.labels()[target_sample]])
    domains = ["source"] * len(source_sample) + ["target"] * len(target_sample)
    probabilities, points = {}, []
    for stage, model in stages.items():
        model.to(device)
        z, predicted = classify(model, crops, rows, eval_crop)
        z_source, _ = classify(model, source_crops, torch.from_numpy(source_sample), eval_crop)
        probabilities[stage] = predicted.cpu().numpy()
        both = torch.cat([z_source.cpu(), z.cpu()[torch.from_numpy(target_sample)]]).numpy()
        x, y = scores.tsne(both, seed).T
        points.append(pd.DataFrame({"stage": stage, "domain": domains, "label": labels, "x": x, "y": y}))
    return probabilities, pd.concat(points)


def score(
    target: Prepared, probabilities: Probabilities, by_epoch: NDArray[np.uint8], params: EvaluateParams, seed: int
) -> dict[str, Any]:
    """Scores on the test rows: before, after, oracle, accuracy by epoch; empty for a target without labels.

    by_epoch: E×N_test, the classes predicted for the test rows after 0, 1, … epochs.
    """
    test = target.split.test
    if len(test) == 0:
        return {}
    labels = target.store.labels()[test]
    found: dict[str, Any] = {
        stage: scores.score(labels, values[test].argmax(axis=1)) for stage, values in probabilities.items()
    }
    for metrics in found.values():
        interval = scores.bootstrap_interval(metrics["accuracy"], len(test), params.bootstrap, seed)
        metrics["interval"] = list(interval)
    found["oracle"] = scores.oracle(labels, by_epoch)
    found["by_epoch"] = scores.accuracy_by_epoch(labels, by_epoch)
    return found


def headline(scores: Mapping[str, Any]) -> dict[str, Any]:
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


def predictions_table(target: Prepared, probabilities: NDArray[np.float32]) -> pd.DataFrame:
    """A row a picture: source file, expression, confidence and all probabilities."""
    table = pd.DataFrame(probabilities, columns=[f"p_{name}" for name in EXPRESSIONS])
    table.insert(0, "picture", target.store.samples["key"].to_numpy())
    table.insert(1, "expression", [EXPRESSIONS[index] for index in probabilities.argmax(axis=1)])
    table.insert(2, "confidence", probabilities.max(axis=1))
    return table


def plot_tables(scores: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """The tables behind ``dvc plots show``, by name: F1, confusion (a row a picture) and accuracy by epoch."""
    f1, confusion, accuracy = [], [], []
    if scores:
        for expression, before, after in zip(EXPRESSIONS, scores["before"]["f1"], scores["after"]["f1"], strict=True):
            f1.append({"expression": f"{expression}, before", "f1": before})
            f1.append({"expression": f"{expression}, after", "f1": after})
        for actual, counts in zip(EXPRESSIONS, scores["after"]["confusion"], strict=True):
            for predicted, count in zip(EXPRESSIONS, counts, strict=True):
                confusion += [{"actual": actual, "predicted": predicted}] * count
        accuracy = [{"epoch": epoch, "accuracy": value} for epoch, value in enumerate(scores["by_epoch"])]
    return {
        "f1": pd.DataFrame(f1, columns=["expression", "f1"]),
        "confusion": pd.DataFrame(confusion, columns=["actual", "predicted"]),
        "accuracy": pd.DataFrame(accuracy, columns=["epoch", "accuracy"]),
    }
