"""Made results for the tests of the report: small, fixed, and written as the evaluate stage writes them."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import paths
from pipeline.config.dependencies import result_params
from pipeline.config.load import load
from pipeline.config.schema import Params
from pipeline.validators import LAST, VALIDATORS

N = 7
ROOT = Path(__file__).parents[2]
PARAMS = load(ROOT / "params.yaml")
PAPER = load(ROOT / "params/paper.yaml")
ENVIRONMENT = {"precision": "fp32", "compile": False, "device": "cpu", "hardware": "AVX2", "torch": "2.11.0"}
SPLIT: dict[str, Any] = {
    "dataset": "jaffe",
    "protocol": {"protocol": "stratified", "test": 0.25, "seed": 0, "duplicates": "keep"},
    "test_in_train": {"picture": 0, "sequence": 40, "subject": None},
    "duplicates": {
        "within": {"exact": 1, "near": 2, "pictures": 3},
        "train_like_test": 2,
        "with": {"rafdb": {"exact": 0, "near": 4, "pictures": 4}},
    },
    "train": 1125,
    "test": 140,
}


CHOICES = {validator.name: {"accuracy": 0.7, "epoch": 3} for validator in VALIDATORS}
CHOICES[LAST] = {"accuracy": 0.75, "balanced_accuracy": 0.72, "epoch": 5}


def params_for(*targets: str) -> Params:
    """The project's params.yaml with other targets."""
    return PARAMS.model_copy(update={"targets": targets})


def metrics(confusion: list[list[int]], interval: list[float] | None = None) -> dict[str, Any]:
    """Metrics as the evaluate stage computes them; F1 null for a class neither present nor predicted."""
    counts = np.array(confusion)
    hits, present, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    f1 = [None if p + q == 0 else float(2 * h / (p + q)) for h, p, q in zip(hits, present, predicted, strict=True)]
    return {
        "accuracy": float(hits.sum() / counts.sum()),
        "interval": interval,
        "balanced_accuracy": float(np.mean([h / p for h, p in zip(hits, present, strict=True) if p])),
        "macro_f1": float(np.mean([value for value, n in zip(f1, present, strict=True) if value is not None and n])),
        "f1": f1,
        "support": present.tolist(),
        "confusion": counts.tolist(),
    }


def confusion(right: int, wrong: int) -> list[list[int]]:
    """Every class ``right`` times right and ``wrong`` times taken for the next one."""
    return [[right if j == i else wrong if j == (i + 1) % N else 0 for j in range(N)] for i in range(N)]


def pictures(before: list[list[int]], after: list[list[int]]) -> dict[str, Any]:
    """The pictures behind two confusion matrices of the same labels, each a unit of its own."""
    labels = "".join(str(label) * sum(row) for label, row in enumerate(before))
    predicted = ["".join(str(label) * n for row in one for label, n in enumerate(row)) for one in (before, after)]
    return {"labels": labels, "before": predicted[0], "after": predicted[1], "unit": "picture", "units": []}


def judged(information: float, source_accuracy: float = 0.88) -> dict[str, float]:
    """What is said of a model without labels."""
    return {
        "entropy": 0.4,
        "information": information,
        "neighbourhood_density": 3.5,
        "source_accuracy": source_accuracy,
    }


def result(target: str, **changes: Any) -> dict[str, Any]:
    """A labelled, adapted target on stand-ins: DT 60.0 %, POCAN 75.0 %, oracle 80.0 %, 140 test pictures."""
    known = target if target in PARAMS.split else "jaffe"
    return {
        "source": "rafdb",
        "target": target,
        "method": "pocan",
        "adapts": changes.get("method", "pocan") != "dt",
        "without": [],
        "provenance": {"source": "stand-in", "target": "stand-in"},
        "backbone": "resnet10",
        "weights": "none",
        "seed": 0,
        "epochs": {"pretrain": 10, "prototypes": 50, "adapt": 5},
        "kept_epoch": 5,
        "parameters": result_params(PARAMS, known),
        "environment": dict.fromkeys(("pretrain", "prototypes", "adapt"), ENVIRONMENT),
        "split": SPLIT,
        "n_train": 1125,
        "n_test": 140,
        "before": metrics(confusion(12, 8), [0.52, 0.6804]),
        "after": metrics(confusion(15, 5), [0.68, 0.82]),
        "oracle": {"accuracy": 0.8, "epoch": 3},
        "tested": pictures(confusion(12, 8), confusion(15, 5)) if changes.get("n_test", 140) == 140 else None,
        "unlabelled": {"before": judged(0.9), "after": judged(1.2), "choices": CHOICES},
        "calibration": {
            "temperature": 1.6,
            "source": {"before": 0.09, "after": 0.02},
            "target": {"before": 0.21, "after": 0.08},
        },
        "revision": "0123abc",
        "experiment": "tidal-owl",
        "run_id": "f00d",
    } | changes


REAL = {"source": "real", "target": "real"}
RELIABILITY = """scaled,count,confidence,accuracy
False,40,0.5,0.45
False,100,0.95,0.87
True,60,0.6,0.62
True,80,0.85,0.84
"""
UNLABELLED = {"n_test": 0, "before": None, "after": None, "oracle": None, "tested": None}


def write(root: Path, *results: dict[str, Any], labels: bool = True) -> None:
    """Write what the stages leave of every result for the report: scores, points, bins and curves; and source.json."""
    curves = root / "reports/curves"
    curves.mkdir(parents=True)
    for name in ("pretrain", "prototypes", *(f"adapt-{value['target']}" for value in results)):
        (curves / f"{name}.csv").write_text("epoch,lr,loss\n1,0.1,2.5\n2,0.05,1.25\n")
    for value in results:
        folder = root / paths.evaluation(value["target"])
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(value), encoding="utf-8")
        said = ",".join(validator.name for validator in VALIDATORS)
        numbers = ["0" + ",0.5" * len(VALIDATORS), "1" + ",0.625" * len(VALIDATORS)]
        validations = root / paths.validations(value["target"])
        validations.parent.mkdir(exist_ok=True)
        validations.write_text("\n".join([f"epoch,{said}", *numbers]) + "\n")
        accuracies = "0,0.6\n1,0.75\n" if value["n_test"] else ""
        (folder / "accuracy.csv").write_text(f"epoch,accuracy\n{accuracies}")
        stages = ("before",) if value["method"] == "dt" else ("before", "after")
        (folder / "tsne.csv").write_text(tsne_csv(stages, labels), encoding="utf-8")
        (folder / "reliability.csv").write_text(RELIABILITY if value["n_test"] else RELIABILITY.splitlines()[0] + "\n")
    source = {"dataset": "rafdb", "provenance": results[0]["provenance"]["source"], "accuracy": 0.9}
    source |= {"balanced_accuracy": 0.8, "macro_f1": 0.85, "own_shares_accuracy": 0.91}
    (root / paths.SOURCE_REPORT).write_text(json.dumps({"source": source | {"n_test": 160}}), encoding="utf-8")


def tsne_csv(stages: tuple[str, ...], labels: bool) -> str:
    """Points in seven clouds per domain; the clouds of the two domains meet after adaptation."""
    rng = np.random.Generator(np.random.PCG64(5))
    lines = ["stage,domain,row,label,x,y"]
    for stage in stages:
        for domain in ("source", "target"):
            for index in range(140):
                angle = 2 * np.pi * (index % N) / N
                shift = 4.0 if domain == "target" and stage == "before" else 0.5 if domain == "target" else 0.0
                x, y = 10 * np.cos(angle) + shift + rng.normal(0, 1.4), 10 * np.sin(angle) + rng.normal(0, 1.4)
                label = index % N if labels or domain == "source" else -1
                lines.append(f"{stage},{domain},{index},{label},{x:.5f},{y:.5f}")
    return "\n".join(lines) + "\n"
