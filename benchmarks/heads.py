"""Methods that adapt the head, from the source model at hand, several seeds of stage 2 each.

python -m benchmarks.heads run TARGET OUT.json [--seeds 0,1,2] VARIANT ...     in a project with models and features
python -m benchmarks.heads table FILE.json ...                                 the files' table, in Markdown

A VARIANT is a method's name, or NAME=METHOD,key=value,… with other values of its parameters.
"""

import argparse
import copy
import json
import subprocess
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.adaptation import Adaptation
from pipeline.compute.team import Team
from pipeline.config import paths
from pipeline.config.load import load
from pipeline.config.paths import AdaptationPaths
from pipeline.data.prepared import PreparedData
from pipeline.evaluation.scores import score
from pipeline.files.io import read_json, write_json
from pipeline.networks.trained import open_model
from pipeline.training import loop
from pipeline.trials.run import trained


def run(target: str, variants: list[str], seeds: list[int]) -> dict[str, Any]:
    """Adapt to ``target`` by every variant with every seed; return what it came to, as JSON."""
    team = Team.single_process(load().device)
    model, data = open_model(paths.PROTOTYPES), PreparedData.open(target)
    labels = data.store.labels()[data.split.test]
    found: list[dict[str, Any]] = []
    for variant in variants:
        name, _, rest = variant.partition("=") if "=" in variant else (variant, "", variant)
        method, *values = rest.split(",")
        settings = load(
            changes=[f"adapt.method={method}", "adapt.trains=head", *(f"adapt.{value}" for value in values)]
        )
        for seed in seeds[: 1 if settings.adapt.training_free else None]:
            loop.prepare(seed, team.device)
            started = time.perf_counter()
            source = PreparedData.open(settings.source)
            outputs = AdaptationPaths.of_target(target)
            work = Adaptation(
                copy.deepcopy(model), source, data, settings.adapt, settings.augment, seed, None, {}, outputs
            )
            adapted = work.method(team)
            predicted = [np.asarray(rows, np.int64) for rows in trained(adapted)]
            scores = [score(labels, classes) for classes in (predicted[0], predicted[-1])]
            found.append(
                {
                    "variant": name,
                    "method": method,
                    "values": values,
                    "seed": seed,
                    "dt": [scores[0].accuracy, scores[0].balanced_accuracy],
                    "last": [scores[1].accuracy, scores[1].balanced_accuracy],
                    "confusion": scores[1].confusion,
                    "by_epoch": [float((classes == labels).mean()) for classes in predicted],
                    "predicted": "".join(map(str, predicted[-1])),
                    "validations": adapted.validations,
                    "seconds": time.perf_counter() - started,
                }
            )
            print(name, seed, *(f"{100 * value:.1f}" for value in (*found[-1]["dt"], *found[-1]["last"])), flush=True)
    described = {
        "target": target,
        "labels": "".join(map(str, labels)),
        "source_seed": model.description["seed"],
        "source": read_json(paths.SOURCE_REPORT)["source"],
        "commit": subprocess.run(
            ["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True
        ).stdout.strip(),
        "environment": team.environment(),
    }
    return {**described, "runs": found}


def table(files: list[Path]) -> str:
    """A row a variant, best first: means over source models and seeds, and the spread of the source models' means."""
    runs: dict[str, dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for file in files:
        read = json.loads(file.read_text(encoding="utf-8"))
        for one in read["runs"]:
            runs[one["variant"]][read["source_seed"]].append(one)
    rows = []
    for variant, by_model in runs.items():
        means = {
            key: np.array([np.mean([one[key] for one in each], axis=0) for each in by_model.values()])
            for key in ("dt", "last")
        }
        gains = 100 * np.array([np.subtract(one["last"], one["dt"]) for each in by_model.values() for one in each])
        spread = 100 * means["last"].std(axis=0, ddof=1) if len(by_model) > 1 else np.zeros(2)
        seconds = np.median([one["seconds"] for each in by_model.values() for one in each])
        last, gain = 100 * means["last"].mean(axis=0), gains.mean(axis=0)
        cells = [
            variant,
            f"{last[0]:.1f} ± {spread[0]:.1f} ({last[1]:.1f})",
            f"{gain[0]:+.1f} ({gain[1]:+.1f})",
            f"{gains[:, 0].min():+.1f} ({gains[:, 1].min():+.1f})",
            f"{len(by_model)} × {len(gains) // len(by_model)}",
            f"{seconds:.0f}",
        ]
        rows.append((last[1], "| " + " | ".join(cells).replace("-", "−") + " |"))
    head = [
        "| variant | last epoch | gain | worst gain | source models × seeds | seconds |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    return "\n".join([*head, *(row for _, row in sorted(rows, reverse=True))])


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("target")
    running.add_argument("out", type=Path)
    running.add_argument("variants", nargs="+")
    running.add_argument("--seeds", default="0,1,2")
    commands.add_parser("table").add_argument("files", nargs="+", type=Path)
    options = parser.parse_args()
    if options.command == "table":
        print(table(options.files))
        return
    torch.set_num_threads(1)
    write_json(options.out, run(options.target, options.variants, [int(seed) for seed in options.seeds.split(",")]))


if __name__ == "__main__":
    main()
