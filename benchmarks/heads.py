"""Methods that adapt the head, from the source model at hand, several seeds of stage 2 each.

python -m benchmarks.heads run TARGET OUT.json [--seeds 0,1,2] VARIANT ...     in a project with models and features
python -m benchmarks.heads table TARGET FILE.json ...                          the files' table, in Markdown

The table needs the target's crops, for their labels and subjects, which the files do not hold; and a variant DT=dt.

A VARIANT is a method's name, or NAME=METHOD,key=value,… with other values of its parameters.
"""

import argparse
import copy
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
from pipeline.evaluation.comparison import compare, holm
from pipeline.evaluation.resampling import units
from pipeline.evaluation.scores import score
from pipeline.files.io import read_json, write_json
from pipeline.git import git
from pipeline.networks.trained import open_model
from pipeline.reporting.markdown import difference_text, markdown_table, signed
from pipeline.training import loop


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
        source, outputs = PreparedData.open(settings.source), AdaptationPaths.of_target(target)
        for seed in seeds[: 1 if settings.adapt.training_free else None]:
            loop.prepare(seed, team.device)
            started = time.perf_counter()
            work = Adaptation(
                copy.deepcopy(model), source, data, settings.adapt, settings.augment, seed, None, {}, outputs
            )
            adapted = work.method(team)
            loop.fit_unseen(adapted, team.device)
            adapted.predict_target()
            predicted = [np.asarray(rows, np.int64) for rows in adapted.predictions]
            kept = adapted.kept_epoch
            scores = [score(labels, classes) for classes in (predicted[0], predicted[kept])]
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
                    "kept": kept,
                    "predicted": "".join(map(str, predicted[kept])),
                    "warrant": adapted.validations[0]["warrant"],
                    "seconds": time.perf_counter() - started,
                }
            )
            print(name, seed, *(f"{100 * value:.1f}" for value in (*found[-1]["dt"], *found[-1]["last"])), flush=True)
    described = {
        "target": target,
        "source_seed": model.description["seed"],
        "source": read_json(paths.SOURCE_REPORT)["source"],
        "commit": git("rev-parse", "HEAD").strip(),
        "environment": team.environment(),
    }
    return {**described, "runs": found}


def table(target: str, files: list[Path]) -> str:
    """A row a variant, best balanced accuracy first: means over source models and seeds.

    Gains over direct transfer are with 95 % intervals over subjects (else sequences, else pictures), source models and
    seeds, p values by Holm over the variants.
    """
    data = PreparedData.open(target)
    labels, samples = data.store.labels()[data.split.test], data.store.samples.iloc[data.split.test]
    unit, groups = units(samples)
    runs: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for file in files:
        read = read_json(file)
        for one in read["runs"]:
            runs[one["variant"]].append((read["source_seed"], one))
    transfer = {model: one["predicted"] for model, one in runs.pop("DT")}
    rows, compared = [], []
    for variant, of_variant in runs.items():
        models = [model for model, _ in of_variant]
        first = np.array([list(map(int, one["predicted"])) for _, one in of_variant])
        second = np.array([list(map(int, transfer[model])) for model in models])
        compared.append(compare(first, second, labels, groups, models))
        last, before = (100 * np.array([one[key] for _, one in of_variant]) for key in ("last", "dt"))
        worst, means = (last - before).min(axis=0), last.mean(axis=0)
        seconds = np.median([one["seconds"] for _, one in of_variant])
        gain, balanced = compared[-1].accuracy, compared[-1].balanced_accuracy
        cells = [
            variant,
            f"{means[0]:.1f} ({means[1]:.1f})",
            difference_text(gain, ()),
            difference_text(balanced, ()),
            f"{signed(worst[0])} ({signed(worst[1])})",
            f"{len(set(models))} × {len(models) // len(set(models))}",
            f"{seconds:.0f}",
        ]
        rows.append((means[1], cells))
    adjusted = holm([one.balanced_accuracy.p for one in compared])
    ranked = sorted(zip(rows, adjusted, strict=True), key=lambda one: -one[0][0])
    head = [
        "variant",
        "last epoch",
        f"gain ({unit}s, seeds)",
        "balanced",
        "p (Holm)",
        "worst",
        "models × seeds",
        "time (s)",
    ]
    return markdown_table(head, [[*cells[:4], f"{p:.3f}", *cells[4:]] for (_, cells), p in ranked])


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("target")
    running.add_argument("out", type=Path)
    running.add_argument("variants", nargs="+")
    running.add_argument("--seeds", default="0,1,2")
    showing = commands.add_parser("table")
    showing.add_argument("target")
    showing.add_argument("files", nargs="+", type=Path)
    options = parser.parse_args()
    if options.command == "table":
        print(table(options.target, options.files))
        return
    torch.set_num_threads(1)
    write_json(options.out, run(options.target, options.variants, [int(seed) for seed in options.seeds.split(",")]))


if __name__ == "__main__":
    main()
