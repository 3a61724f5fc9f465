"""Measure the value of 1, 5 and 10 labels per class, compared with adaptation without labels and simpler fits.

python -m benchmarks.few_labels run TARGET OUT.json [--model models/prototypes] [--counts 1,5,10] [--draws 5]
python -m benchmarks.few_labels trials OUT.json [--suite studies/trials/shifts.yaml] [--draws 3] [--label-draws 1]
python -m benchmarks.few_labels table OUT.json ...

It needs a project with the source model, the source's crops and split, and labelled crops of TARGET. All labelled
pictures of TARGET are the pictures to adapt to. The given number per class, at most half of a class, is drawn as
labelled; the others are scored, so both may contain the same people. ``trials`` does the same on trial targets of the
source, with several draws of labels each. ``chosen`` is the model that ``pocan adapt --labels`` keeps, with the result
of its cross-validation.
"""

import argparse
import copy
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.heads import made_by, which
from pipeline.adaptation import Adaptation
from pipeline.compute.team import Team
from pipeline.config import paths
from pipeline.config.load import load
from pipeline.config.paths import AdaptationPaths
from pipeline.config.schema import Params
from pipeline.data.crops import CropStore
from pipeline.data.prepared import PreparedData, Split
from pipeline.evaluation.scores import score
from pipeline.files.io import read_json, write_json
from pipeline.files.temporary import temporary_folder
from pipeline.labels import EXPRESSIONS
from pipeline.methods import Method
from pipeline.methods.few_labels import Evidence, Weights, fit
from pipeline.networks.features import GivenFeatures, swap_encoder
from pipeline.networks.network import Classifier, PrototypeClassifier
from pipeline.networks.trained import TrainedModel, open_model
from pipeline.own_pictures import defaults
from pipeline.own_pictures.labelled import STRENGTHS, Labelled
from pipeline.own_pictures.request import CHOICE, source
from pipeline.own_pictures.user_labels import UserLabel
from pipeline.reporting.markdown import markdown_table
from pipeline.training import loop
from pipeline.trials.run import Trials
from pipeline.trials.suite import read_suite

ALONE = {"labels alone": Weights(0.0, 0.0, 1.0), "labels and source": Weights(1.0, 0.0, 1.0)}
TOGETHER = {f"labels, source, rest, {words}": Weights(hold=hold) for words, hold in STRENGTHS.items()}


@dataclass(frozen=True, eq=False)
class Pictures:
    """Labelled pictures, and a method adapted to them without their labels.

    Attributes:
        name: name of the target.
        method: the method after its last epoch, on features.
        plain: the source model on features.
        rows: rows of the pictures in ``labels``, n.
        labels: int64.
    """

    name: str
    method: Method
    plain: PrototypeClassifier
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]

    def drawn(self, count: int, seed: Sequence[int]) -> NDArray[np.int64]:
        """Draw ``count`` pictures per class, at most half of a class; return their rows."""
        generator = np.random.Generator(np.random.PCG64(seed))
        members = (self.rows[self.labels[self.rows] == label] for label in np.unique(self.labels[self.rows]))
        return np.concatenate([generator.permutation(of)[: min(count, max(1, len(of) // 2))] for of in members])


def run(target: str, folder: Path, counts: list[int], draws: int, seed: int) -> dict[str, Any]:
    """Measure on ``target``; return the results as JSON."""
    model, settings, team = _opened(folder)
    data = _album(target)
    plain = copy.deepcopy(model.model)
    assert isinstance(plain, PrototypeClassifier)
    with temporary_folder() as features:
        method, seconds = _adapted(model, settings, data, features, seed, team)
        swap_encoder(plain, GivenFeatures(plain.network.encoder.dim))
        pictures = Pictures(target, method, plain.to(team.device).eval(), data.split.train, data.store.labels())
        found = [one for count in counts for draw in range(draws) for one in _measured(pictures, count, draw, seed)]
    return {
        **which(model),
        **made_by(team),
        "target": target,
        "pictures": len(data.split.train),
        "adaptation_seconds": seconds,
        "runs": found,
    }


def run_trials(
    out: Path, folder: Path, suite: Path, draws: int, label_draws: int, counts: list[int], seed: int
) -> None:
    """Measure on ``draws`` trial targets of each kind, with ``label_draws`` draws of labels each; write after each."""
    model, settings, team = _opened(folder)
    read = read_suite(suite).model_copy(update={"draws": draws})
    trials = Trials(model, PreparedData.open(settings.source), read, paths.TRIALS, seed, team)
    found: list[dict[str, Any]] = []
    for case, method in trials.adaptations(settings.adapt):
        name = f"{case.camera}, {case.shares}, {case.draw}"
        labels = trials.labels[case.rows]
        pictures = Pictures(name, method, copy.deepcopy(trials.head).eval(), np.arange(len(labels)), labels)
        for count in counts:
            for draw in range(label_draws):
                of_labels = case.draw * label_draws + draw
                found += [one | {"target": name} for one in _measured(pictures, count, of_labels, seed)]
        write_json(out, {**which(model), **made_by(team), "target": str(suite), "runs": found})


def _opened(folder: Path) -> tuple[TrainedModel, Params, Team]:
    """Return the source model and the parameters of ``pocan adapt``."""
    model = open_model(folder)
    settings = load(
        changes=[
            *defaults.changes(defaults.WITH_SOURCE, model.description.get("prototypes", {})),
            f"adapt.method={defaults.WITH_SOURCE}",
            "adapt.choose=last",
        ]
    )
    settings = settings.model_copy(update={"source": model.description["source"]["name"], "augment": model.augment})
    return model, settings, Team.single_process(settings.device)


def _album(target: str) -> PreparedData:
    store = CropStore.open(paths.crops(target))
    rows = np.flatnonzero(store.labels() >= 0).astype(np.int64)
    return PreparedData(target, store, Split(rows, rows))


def _adapted(
    model: TrainedModel, settings: Params, data: PreparedData, features: Path, seed: int, team: Team
) -> tuple[Method, float]:
    """Return the method adapted without labels, and the CPU seconds of its training."""
    outputs = replace(AdaptationPaths.of_target(data.name), features=features)
    work = Adaptation(model, source(model, settings), data, settings.adapt, settings.augment, seed, None, {}, outputs)
    for request in work.feature_requests:
        if request is not None:
            request.write(features / request.name, team.device)
    loop.prepare(seed, team.device)
    method = work.method(team)
    assert isinstance(method, Method)
    started = time.process_time()
    loop.fit_silently(method, team.device)
    method.predict_target()
    return method, time.process_time() - started


def _measured(pictures: Pictures, count: int, draw: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield one row per model, with ``count`` labelled pictures per class."""
    method, plain, labels = pictures.method, pictures.plain, pictures.labels
    chosen = pictures.drawn(count, [seed, draw])
    rest = np.setdiff1d(pictures.rows, chosen)
    given = [UserLabel(str(row), int(labels[row]), str(row)) for row in chosen]
    keys = [str(row) for row in range(len(labels))]
    start, title = copy.deepcopy(plain), method.params.title
    work = Labelled(given, keys, pictures.rows, start, title, "", CHOICE, seed + draw)
    started = time.process_time()
    final = work(method)
    seconds = time.process_time() - started
    kept = work.verdict.kept
    models: dict[str, Classifier] = {"source model": plain, "adapted without labels": method.model}
    models |= _fits(method, plain, chosen, rest, labels)
    for name, model in {**models, "chosen": final.model}.items():
        scored = score(labels[rest], _predicted(model, method, rest))
        row: dict[str, Any] = {"labels": count, "draw": draw, "model": name, "n": len(rest)}
        row |= {"accuracy": scored.accuracy, "balanced": scored.balanced_accuracy}
        more = {"kept": kept.title, "said": float(kept.right.mean()), "seconds": seconds}
        yield row | (more if name == "chosen" else {})
    print(
        pictures.name, count, draw, f"{100 * row['accuracy']:.1f} ({100 * row['balanced']:.1f})", kept.title, flush=True
    )


def _fits(
    method: Method,
    plain: PrototypeClassifier,
    chosen: NDArray[np.int64],
    rest: NDArray[np.int64],
    labels: NDArray[np.int64],
) -> dict[str, Classifier]:
    """Fit all labels with different sets of further terms."""
    views = method.target.inputs.batch(torch.from_numpy(chosen))
    pictures = method.source.rows
    evidence = Evidence(
        views.flatten(0, 1),
        torch.from_numpy(labels[chosen]).to(views.device).repeat_interleave(views.shape[1]),
        method.target.inputs.batch(torch.from_numpy(rest))[:, 0],
        method.source.inputs.batch(pictures)[:, 0],
        method.source.labels[pictures].to(views.device),
    )
    return {name: fit(plain, evidence, weights) for name, weights in {**ALONE, **TOGETHER}.items()}


@torch.no_grad()
def _predicted(model: Classifier, method: Method, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    probabilities = model.eval().embed(method.target.inputs.batch(torch.from_numpy(rows))[:, 0])[1]
    found: NDArray[np.int64] = probabilities.argmax(dim=1).cpu().numpy()
    return found


def table(files: list[Path]) -> str:
    """Return a table by model and number of labels: mean accuracy over draws and files ± deviation (balanced)."""
    runs: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    said: dict[int, list[float]] = defaultdict(list)
    for file in files:
        for one in read_json(file)["runs"]:
            runs[one["model"], one["labels"]].append((100 * one["accuracy"], 100 * one["balanced"]))
            if "said" in one:
                said[one["labels"]].append(100 * (one["said"] - one["accuracy"]))
    counts = sorted({count for _, count in runs})
    names = list(dict.fromkeys(name for name, _ in runs))
    rows = []
    for name in names:
        cells = [np.array(runs[name, count]) for count in counts]
        rows.append([name, *(f"{of[:, 0].mean():.1f} ± {of[:, 0].std():.1f} ({of[:, 1].mean():.1f})" for of in cells)])
    away = [f"{np.mean(said[count]):+.1f} ± {np.std(said[count]):.1f}" for count in counts]
    rows.append(["cross-validation less accuracy", *away])
    return markdown_table(["model", *(f"{count} a class" for count in counts)], rows)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running, trying = commands.add_parser("run"), commands.add_parser("trials")
    running.add_argument("target")
    running.add_argument("--draws", type=int, default=5)
    trying.add_argument("--suite", type=Path, default=Path("studies/trials/shifts.yaml"))
    trying.add_argument("--draws", type=int, default=3)
    trying.add_argument("--label-draws", type=int, default=1)
    for each in (running, trying):
        each.add_argument("out", type=Path)
        each.add_argument("--model", type=Path, default=paths.PROTOTYPES)
        each.add_argument("--counts", default="1,5,10")
        each.add_argument("--seed", type=int, default=0)
    showing = commands.add_parser("table")
    showing.add_argument("files", nargs="+", type=Path)
    options = parser.parse_args()
    if options.command == "table":
        print(table(options.files))
        return
    counts = [int(count) for count in options.counts.split(",")]
    if options.command == "trials":
        draws = options.draws, options.label_draws
        run_trials(options.out, options.model, options.suite, *draws, counts, options.seed)
    else:
        found = run(options.target, options.model, counts, options.draws, options.seed)
        write_json(options.out, found)
        print(f"{len(EXPRESSIONS)} classes, {found['pictures']} pictures")
    print(table([options.out]))


if __name__ == "__main__":
    main()
