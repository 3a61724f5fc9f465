"""Compare methods that adapt the head on trial targets: all rows of benchmarks/heads.yaml, as configured.

python -m benchmarks.trial_heads run OUT.json [--suite studies/trials/shifts.yaml] [--draws 1] [--only NAME ...]
                                     [--shares one-missing ...] [--known-classes] [--set KEY=VALUE ...]
python -m benchmarks.trial_heads table OUT.json ...     a page with their table, in Markdown; a file a source model

``run`` needs a project with a source model. Without --shares all kinds of the suite are run. With --known-classes only
the expressions that occur in a target are predicted. --set changes parameters of every row whose method has them, such
as ``adapt.encoder_statistics=target``. OUT.json is written after each row; an interrupted run continues from it if
targets and source model are the same.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch

from benchmarks.heads import AS_CONFIGURED, DT, made_by, rows, so_far, which
from pipeline.compute.team import Team
from pipeline.config import paths
from pipeline.config.load import load
from pipeline.data.prepared import PreparedData
from pipeline.files.io import read_json, sha256, write_json
from pipeline.networks.trained import open_model
from pipeline.reporting.markdown import NOTHING, markdown_table, signed
from pipeline.training import loop
from pipeline.trials.run import WORSE, Trials, direct_transfer
from pipeline.trials.suite import read_suite

START = "no training, only what the encoder takes over"
"""The row of the source model with what the encoder has taken over by the rules."""

SHARES = {
    "even": "even",
    "dirichlet-1.0": "Dirichlet 1.0",
    "dirichlet-0.3": "Dirichlet 0.3",
    "one-missing": "one class missing",
}


def run(
    out: Path,
    suite: Path,
    changes: Mapping[str, object],
    known_classes: bool,
    only: Sequence[str],
    of_rows: Sequence[str] = (),
) -> None:
    """Adapt to the trial targets of the suite with these ``changes`` by every row; write what it came to, as JSON.

    Args:
        out: the file.
        suite: the file of the targets.
        changes: of the suite.
        known_classes: whether nothing is predicted but what occurs in a target.
        only: the rows' names; none: all.
        of_rows: changes of every row's parameters, where its method has them.
    """
    settings = load()
    team, model = Team.single_process(settings.device), open_model(paths.PROTOTYPES)
    read = read_suite(suite).model_copy(update=changes)
    trials = Trials(model, PreparedData.open(settings.source), read, paths.TRIALS, settings.seed, team, known_classes)
    of = {
        "suite_sha256": sha256(suite),
        "draws": read.draws,
        "shares": [*read.shares],
        "known_classes": known_classes,
        "set": [*of_rows],
        "seed": settings.seed,
        **which(model),
    }
    found = so_far(out, "rows", of) or {}
    for row in rows(of_rows):
        if row.kind != AS_CONFIGURED or row.name == DT or row.name in found or (only and row.name not in only):
            continue
        loop.prepare(settings.seed, team.device)
        came = trials.run(load(changes=row.changes).adapt).astype(object)
        found[row.name] = came.where(came.notna(), None).to_dict("records")
        write_json(out, {"suite": str(suite), **of, **made_by(team), "rows": found})


def table(files: Sequence[Path]) -> str:
    """Return one row per method, in points, sorted by mean balanced gain over all source models."""
    found = targets(files)
    kinds = [key for key in SHARES if any(key in set(of.shares) for of in found.values())]
    lines = []
    for name, of in sorted(found.items(), key=lambda item: -item[1].gain.mean()):
        by = of.groupby("shares").gain.mean().dropna()
        mean, *others = summary(of)
        lines.append([name, mean, *(signed(by[key]) if key in by else NOTHING for key in kinds), *others])
    titles = [SHARES[key] for key in kinds]
    return markdown_table(["", "gain (balanced)", *titles, "worst", "harmed"], lines)


def targets(files: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """Read the rows' targets of all source models, and those of ``START`` where an encoder took something over.

    Returns:
        A table for each row, with the balanced gain in points (``gain``), NaN where the method has diverged.
    """
    read = [read_json(file)["rows"] for file in files]
    found = {name: pd.concat([pd.DataFrame(rows[name]) for rows in read if name in rows]) for name in read[0]}
    first = next(iter(found.values()))
    if "start_balanced" in first and not (first.start_balanced == first.dt_balanced).all():
        found[START] = first.assign(accuracy=first.start_accuracy, balanced=first.start_balanced)
    return {name: of.assign(gain=100 * (of.balanced - of.dt_balanced).astype(float)) for name, of in found.items()}


def summary(of: pd.DataFrame) -> tuple[str, str, str]:
    """Return the mean gain (balanced gain), the worst balanced gain, and how many targets were harmed or diverged."""
    ended = of.dropna(subset=["balanced"])
    accuracy = 100 * (ended.accuracy - ended.dt_accuracy).mean()
    harmed, diverged = (ended.gain < -100 * WORSE).sum(), len(of) - len(ended)
    count = f"{harmed} of {len(ended)}{f'; diverged {diverged}' if diverged else ''}"
    return f"{signed(accuracy)} ({signed(ended.gain.mean())})", signed(ended.gain.min()), count


def page(files: Sequence[Path]) -> str:
    """Return the table with its description, an appendix of docs/results.md."""
    first = [read_json(file) for file in files]
    sample = pd.DataFrame(next(iter(first[0]["rows"].values())))
    made = sorted({f"{one['environment']['hardware']}, {one['environment']['precision']}" for one in first})
    commits = sorted({one["commit"][:7] for one in first})
    seeds = ", ".join(str(one["source_seed"]) for one in first)
    known = " Nothing is predicted but the expressions that occur." if first[0]["known_classes"] else ""
    transfer = direct_transfer(sample)
    text = (
        "Written by `python -m benchmarks.trial_heads table trials-*.json` from the files beside it. "
        f"{len(sample)} [trial targets](../training.md#a-suite-of-trial-targets) of each source model (seeds {seeds}). "
        f"Direct transfer has {transfer} % on those of the first. In points: the mean gain in accuracy (in balanced "
        "accuracy), the balanced gain by the targets' class shares, the worst balanced gain, and how many targets lost "
        "more than half a point of balanced accuracy. Last epoch, values of params.yaml and benchmarks/heads.yaml."
        f"{known}\n\n"
        f"Computed on {', '.join(made)}; revision {', '.join(commits)}."
    )
    return f"# Every method on trial targets\n\n{text}\n\n{table(files)}\n"


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("out", type=Path)
    running.add_argument("--suite", type=Path, default=Path("studies/trials/shifts.yaml"))
    running.add_argument("--draws", type=int, default=1)
    running.add_argument("--shares", nargs="+", choices=SHARES)
    running.add_argument("--known-classes", action="store_true")
    running.add_argument("--only", nargs="+", default=[])
    running.add_argument("--set", nargs="+", default=[], dest="changes")
    showing = commands.add_parser("table")
    showing.add_argument("files", nargs="+", type=Path)
    options = parser.parse_args()
    if options.command == "table":
        print(page(options.files), end="")
        return
    torch.set_num_threads(1)
    changes = {"draws": options.draws} | ({"shares": tuple(options.shares)} if options.shares else {})
    run(options.out, options.suite, changes, options.known_classes, options.only, options.changes)


if __name__ == "__main__":
    main()
