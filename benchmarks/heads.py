"""Compare methods that adapt the head of the project's source model: all rows of benchmarks/heads.yaml, several seeds.

python -m benchmarks.heads run TARGET OUT.json [--only NAME ...] [--unsearched] [--known-classes] [--seeds N ...]
    [--set KEY=VALUE ...]
python -m benchmarks.heads table TARGET FILE.json ...                a page with their table, in Markdown

``run`` needs a project with models and features. With --known-classes only the expressions that occur in the target are
predicted (``split.TARGET.classes``), for targets that lack some of the source's. --set changes parameters of every row,
also its own, where its method has them, such as ``adapt.steps_per_epoch=100``. --seeds replaces the seeds of
benchmarks/heads.yaml. OUT.json is written after each run; an interrupted command continues from it. The table needs the
target's crops, because the files do not contain labels and subjects.
"""

import argparse
import copy
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from pipeline.adaptation import Adaptation
from pipeline.compute.team import Team
from pipeline.config import paths
from pipeline.config.load import load
from pipeline.config.methods import METHODS, AdaptParams
from pipeline.config.paths import AdaptationPaths
from pipeline.config.project import PARAMS
from pipeline.data.prepared import PreparedData
from pipeline.datasets import DATASETS
from pipeline.evaluation.comparison import Comparison, compare, holm
from pipeline.evaluation.resampling import units
from pipeline.evaluation.scores import score
from pipeline.files.io import read_json, sha256, write_json
from pipeline.git import git
from pipeline.labels import EXPRESSIONS
from pipeline.networks.trained import TrainedModel, open_model
from pipeline.reporting.markdown import difference_text, markdown_table, signed
from pipeline.search import Search
from pipeline.training import loop
from pipeline.validators import computed

ROWS = Path(__file__).with_name("heads.yaml")
DT, POCAN, CONSISTENT = "DT", "POCAN", "POCAN, consistent loss"
KNOWN = (
    "The classes that occur in the target are known: no other is predicted, by direct transfer either "
    "(`split.TARGET.classes`).\n\n"
)
AS_CONFIGURED, SEARCHED = "as configured", "searched"
OBJECTIVES = {"supcon": "the contrastive loss", "cross_entropy": "cross entropy", "both": "both losses"}
"""The values of ``pretrain.objective`` in words."""


@dataclass(frozen=True)
class Row:
    """A row of the comparison.

    Attributes:
        name: name in the table.
        changes: changes to params.yaml.
        kind: as configured, or a search over configurations.
        seeds: seeds of stage 2.
    """

    name: str
    changes: tuple[str, ...]
    kind: str
    seeds: tuple[int, ...]


def rows(changes: Sequence[str] = (), seeds: Sequence[int] = ()) -> Iterator[Row]:
    """Yield the rows of benchmarks/heads.yaml and of every other method.

    Args:
        changes: changes to the parameters of every row; those of ``adapt`` only where its method has the parameter.
        seeds: seeds of stage 2; empty: those of the file.
    """
    plan = yaml.safe_load(ROWS.read_text(encoding="utf-8"))
    always, variants = plan["always"], {DT: ["adapt.method=dt"], **plan["variants"]}
    for name, method in METHODS.items():
        if method.ranked and not method.needs_encoder and [f"adapt.method={name}"] not in variants.values():
            variants.setdefault(method.title, [f"adapt.method={name}"])
    for name, own in variants.items():
        method = METHODS[own[0].partition("=")[2]]
        wanted = [change for change in changes if _has(method, change)]
        own_seeds = tuple(seeds or plan["seeds"])[: 1 if method.changes == "decision" or name == DT else None]
        yield Row(name, (*always, *own, *wanted), AS_CONFIGURED, own_seeds)
        if name not in plan["not_searched"] and method.space:
            yield Row(name, (*always, *plan["searched"], *own, *wanted), SEARCHED, own_seeds[:1])


def _has(method: type[AdaptParams], change: str) -> bool:
    """Return whether the method has the parameter that is changed, if it is one of section ``adapt``."""
    section, _, key = change.partition("=")[0].partition(".")
    return section != "adapt" or key in method.model_fields


def run(target: str, out: Path, wanted: Sequence[Row], known_classes: bool, changes: Sequence[str]) -> None:
    """Adapt to ``target`` with every wanted row and seed; write the results, and ``changes``, as JSON."""
    settings = load()
    team = Team.single_process(settings.device)
    model, source, data = open_model(paths.PROTOTYPES), PreparedData.open(settings.source), PreparedData.open(target)
    known = occurring(data) if known_classes else None
    of = {"target": target, "known_classes": known, "set": [*changes], **which(model)}
    described = {
        **of,
        "source": read_json(paths.SOURCE_REPORT)["source"],
        "pretrain": model.description["pretrain"],
        "data": [source.description(), data.description()],  # with the splits' digests
        **made_by(team),
    }
    found = so_far(out, "runs", of) or []
    done = {(one["row"], one["kind"], one["seed"]) for one in found}
    for row in wanted:
        for seed in row.seeds:
            if (row.name, row.kind, seed) in done:
                continue
            loop.prepare(seed, team.device)
            results = _adapted(copy.deepcopy(model), source, data, known, row, seed, team)
            found.append({"row": row.name, "kind": row.kind, "seed": seed, **results})
            write_json(out, {**described, "runs": found})
            print(row.name, row.kind, seed, *(f"{100 * value:.1f}" for value in results["scores"]), flush=True)


def occurring(data: PreparedData) -> list[str]:
    """Return the expressions that occur among the labels of the test rows."""
    labels = data.store.labels()[data.split.test]
    return [name for index, name in enumerate(EXPRESSIONS) if (labels == index).any()]


def which(model: TrainedModel) -> dict[str, Any]:
    """Return the identity of source model and parameter file, as JSON."""
    return {
        "source_seed": model.description["seed"],
        "weights_sha256": model.description["weights_sha256"],
        "params_sha256": sha256(PARAMS),
    }


def made_by(team: Team) -> dict[str, Any]:
    """Return git revision and environment, as JSON."""
    return {"commit": git("rev-parse", "HEAD").strip(), "environment": team.environment()}


def so_far(out: Path, key: str, of: Mapping[str, object]) -> Any:
    """Return the results of an interrupted run; None if there is no file.

    Args:
        out: the file.
        key: key of the results in the file.
        of: expected values of other keys of the file.

    Raises:
        SystemExit: a value differs or is missing.
    """
    if not out.exists():
        return None
    content = read_json(out)
    unlike = [f"{name} {content.get(name)} (now {value})" for name, value in of.items() if content.get(name) != value]
    if unlike:
        raise SystemExit(f"{out}: it has {', '.join(unlike)}; name another file")
    return content[key]


def _adapted(
    model: TrainedModel,
    source: PreparedData,
    data: PreparedData,
    known_classes: Sequence[str] | None,
    row: Row,
    seed: int,
    team: Team,
) -> dict[str, Any]:
    """Run one adaptation and return its results."""
    settings, outputs = load(changes=row.changes), AdaptationPaths.of_target(data.name)
    started = time.perf_counter()
    known = tuple(known_classes) if known_classes else None
    work = Adaptation(model, source, data, settings.adapt, settings.augment, seed, known, {}, outputs)
    adapted = work.method(team)
    loop.fit_silently(adapted, team.device)
    adapted.predict_target()
    seconds = time.perf_counter() - started
    labels = data.store.labels()[data.split.test]
    predicted = [np.asarray(classes, np.int64) for classes in adapted.predictions]
    scores = [score(labels, classes) for classes in predicted]
    kept = scores[adapted.kept_epoch]
    return {
        "scores": [kept.accuracy, kept.balanced_accuracy],
        "confusion": kept.confusion,
        "kept": adapted.kept_epoch,
        "each": [[one.accuracy, one.balanced_accuracy] for one in scores],
        "validations": [computed(one) for one in adapted.validations],
        "configurations": adapted.varied if isinstance(adapted, Search) else [],
        "predicted": "".join(map(str, predicted[adapted.kept_epoch])),
        "seconds": seconds,
    }


@dataclass(frozen=True)
class Runs:
    """The runs of one row, from every source model.

    Attributes:
        models: seed of the source model of each run.
        seeds: seed of stage 2 of each run.
        predicted: predicted classes, runs × pictures.
        scores: accuracy and balanced accuracy of the kept model, runs × 2.
        oracle: the same of the best epoch or configuration by the labels, runs × 2.
        confusion: confusion matrix, summed over runs.
        seconds: median duration of a run.
    """

    models: list[int]
    seeds: list[int]
    predicted: NDArray[np.int64]
    scores: NDArray[np.float64]
    oracle: NDArray[np.float64]
    confusion: NDArray[np.int64]
    seconds: float

    @classmethod
    def of(cls, found: Sequence[tuple[int, Mapping[str, Any]]]) -> "Runs":
        """Create from pairs of a source model's seed and a run."""
        each = [run for _, run in found]
        return cls(
            [model for model, _ in found],
            [run["seed"] for run in each],
            np.array([list(map(int, run["predicted"])) for run in each]),
            np.array([run["scores"] for run in each]),
            np.array([np.max(run["each"], axis=0) for run in each]),
            np.sum([run["confusion"] for run in each], axis=0),
            float(np.median([run["seconds"] for run in each])),
        )

    def over(self, other: "Runs", labels: NDArray[np.int64], groups: NDArray[Any]) -> Comparison:
        """Compare with other runs from the same source models, seed by seed; a single seed is compared with all."""
        own, others = self._by_start(), other._by_start()
        pairs = [
            (model, one[min(at, len(one) - 1)], others[model][min(at, len(others[model]) - 1)])
            for model, one in own.items()
            for at in range(max(len(one), len(others[model])))
        ]
        models, first, second = zip(*pairs, strict=True)
        return compare(np.array(first), np.array(second), labels, groups, models)

    def _by_start(self) -> dict[int, list[NDArray[np.int64]]]:
        """Return the predictions by source model, ordered by seed."""
        found = defaultdict(list)
        for model, _, predicted in sorted(
            zip(self.models, self.seeds, self.predicted, strict=True), key=lambda of: of[:2]
        ):
            found[model].append(predicted)
        return found


def read(files: Sequence[Path]) -> dict[tuple[str, str], Runs]:
    """Read the runs, by row and kind."""
    found: dict[tuple[str, str], list[tuple[int, Mapping[str, Any]]]] = defaultdict(list)
    for file in files:
        content = read_json(file)
        for one in content["runs"]:
            found[one["row"], one["kind"]].append((content["source_seed"], one))
    return {key: Runs.of(each) for key, each in found.items()}


def mean_scores(runs: Sequence[Mapping[str, Any]], row: str) -> tuple[float, float]:
    """Return mean accuracy and balanced accuracy, over seeds of stage 2, of a row as configured."""
    each = [one["scores"] for one in runs if (one["row"], one["kind"]) == (row, AS_CONFIGURED)]
    accuracy, balanced = np.mean(each, axis=0)
    return float(accuracy), float(balanced)


def table(target: str, files: Sequence[Path]) -> str:
    """Return the table of all rows, sorted by balanced accuracy.

    95 % intervals of gains over direct transfer and POCAN resample subjects (else sequences, else pictures), source
    models and seeds together. p values are of the balanced gain over direct transfer, Holm-adjusted over the rows.
    """
    data = PreparedData.open(target)
    labels, samples = data.store.labels()[data.split.test], data.store.samples.iloc[data.split.test]
    unit, groups = units(samples)
    every = read(files)
    transfer = every.pop((DT, AS_CONFIGURED))
    pocan = every.get((POCAN, AS_CONFIGURED))
    ranked = sorted(every.items(), key=lambda item: -item[1].scores[:, 1].mean())
    compared = [each.over(transfer, labels, groups) for _, each in ranked]
    beside = [None if pocan is None or each is pocan else each.over(pocan, labels, groups) for _, each in ranked]
    head = [
        "",
        "",
        "accuracy (balanced)",
        f"gain ({unit}s, seeds)",
        "balanced gain",
        "p (Holm)",
        "balanced, over POCAN",
        "worst gain (balanced)",
    ]
    head += ["oracle ‡", *EXPRESSIONS, "models × seeds", "time (s)"]
    p_values = holm([one.balanced_accuracy.p for one in compared])
    lines = [
        _line(name, kind, each, transfer, found, other, p)
        for ((name, kind), each), found, other, p in zip(ranked, compared, beside, p_values, strict=True)
    ]
    means = 100 * transfer.scores.mean(axis=0)
    first = [
        "DT",
        "",
        f"{means[0]:.1f} ({means[1]:.1f})",
        *[""] * 6,
        *_recalls(transfer.confusion),
        f"{len(transfer.models)} × 1",
        "",
    ]
    return markdown_table(head, [first, *lines], left=2)


def page(target: str, files: Sequence[Path]) -> str:
    """Return the table with its description, an appendix of docs/results.md."""
    first = [read_json(file) for file in files]
    for key in ("known_classes", "set"):
        if len({json.dumps(one.get(key) or []) for one in first}) > 1:
            raise SystemExit(f"the files differ in {key}: make a table of those that are alike")
    source = first[0]["source"]
    title = f"{DATASETS.title(source['dataset'])} → {DATASETS.title(target)}"
    own = ", ".join(f"{100 * one['source']['own_shares_accuracy']:.1f}" for one in first)
    made = {f"{one['environment']['hardware']}, {one['environment']['precision']}" for one in first}
    commits = {one["commit"][:7] for one in first}
    seeds = ", ".join(str(one["source_seed"]) for one in first)
    losses = sorted({OBJECTIVES[one["pretrain"]["objective"]] for one in first})
    pattern = f"{files[0].stem.rpartition('-')[0]}-*.json"
    known, changes = first[0].get("known_classes"), first[0].get("set") or []
    missing = [name for name in EXPRESSIONS if name not in occurring(PreparedData.open(target))]
    absent = f" The target has no pictures of {', '.join(missing)}." if missing else ""
    plural = "s" * (len(files) > 1)
    listed = ", ".join(f"`{change}`" for change in changes)
    changed = f"Changed in every row whose method has the parameter: {listed}.\n\n" if changes else ""
    text = (
        f"Written by `python -m benchmarks.heads table {target} {pattern}` from the files beside it. Conclusions: "
        f"[results.md](../results.md).\n\n{len(files)} source model{plural} (seed{plural} {seeds}; "
        f"accuracy {own} % on the source's own test part with its own class shares). In per cent and points.{absent}"
        f"\n\n{KNOWN if known else ''}{changed}"
        f"- *{AS_CONFIGURED}*: the last epoch with the values of params.yaml and benchmarks/heads.yaml.\n"
        f"- *{SEARCHED}*: the choice of `adapt.choose: warrant` among twelve configurations and the source model.\n"
        "- Brackets: 95 % intervals. p: for the balanced gain over DT, corrected over all rows (Holm).\n"
        "- ‡: the best epoch or configuration by the target's labels; it is not a result.\n"
        "- The other columns: recall by class, source models × seeds of stage 2, and the median seconds of an "
        "adaptation.\n\n"
        f"Computed on {', '.join(sorted(made))}; revision {', '.join(sorted(commits))}."
    )
    title = f"{title}, stage 1 by {', '.join(losses)}"
    trained = "the whole network" if "adapt.trains=all" in changes else "the head alone"
    return f"# {title}: {trained}{', with known classes' if known else ''}\n\n{text}\n\n{table(target, files)}\n"


def _line(
    name: str, kind: str, each: Runs, transfer: Runs, found: Comparison, beside: Comparison | None, p: float
) -> list[str]:
    before = dict(zip(transfer.models, transfer.scores, strict=True))
    worst = 100 * (each.scores - np.array([before[model] for model in each.models])).min(axis=0)
    means, oracle = 100 * each.scores.mean(axis=0), 100 * each.oracle.mean(axis=0)
    models = len(set(each.models))
    return [
        name,
        kind,
        f"{means[0]:.1f} ({means[1]:.1f})",
        difference_text(found.accuracy, ()),
        difference_text(found.balanced_accuracy, ()),
        f"{p:.3f}",
        difference_text(beside.balanced_accuracy, ()) if beside else "",
        f"{signed(worst[0])} ({signed(worst[1])})",
        f"{oracle[0]:.1f} ({oracle[1]:.1f})",
        *_recalls(each.confusion),
        f"{models} × {len(each.models) // models}",
        f"{each.seconds:.0f}",
    ]


def _recalls(confusion: NDArray[np.int64]) -> list[str]:
    """Return the recall of each class over all runs; a dash for classes without pictures."""
    present = confusion.sum(axis=1)
    return [f"{hits / count:.2f}" if count else "–" for hits, count in zip(np.diag(confusion), present, strict=True)]


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("target")
    running.add_argument("out", type=Path)
    running.add_argument("--only", nargs="+", default=[])
    running.add_argument("--unsearched", action="store_true")
    running.add_argument("--known-classes", action="store_true")
    running.add_argument("--seeds", nargs="+", type=int, default=[])
    running.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE")
    showing = commands.add_parser("table")
    showing.add_argument("target")
    showing.add_argument("files", nargs="+", type=Path)
    options = parser.parse_args()
    if options.command == "table":
        print(page(options.target, options.files), end="")
        return
    torch.set_num_threads(1)
    if lost := [change for change in options.set if not any(_has(method, change) for method in METHODS.values())]:
        parser.error(f"no method has the parameter of {', '.join(lost)}")
    every = list(rows(options.set, options.seeds))
    if unknown := set(options.only) - {row.name for row in every}:
        parser.error(f"there is no row {', '.join(sorted(unknown))}")
    wanted = [
        row
        for row in every
        if (not options.only or row.name in options.only) and not (options.unsearched and row.kind == SEARCHED)
    ]
    run(options.target, options.out, wanted, options.known_classes, options.set)


if __name__ == "__main__":
    main()
