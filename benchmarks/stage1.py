"""Compare losses of stage 1: a table from stored results.

python -m benchmarks.stage1 docs/results

One row per loss: means ± deviation over source models, which differ only in ``pretrain``. The folder contains
heads-NAME-SEED.json, written by ``benchmarks.heads run``, and optionally trials-NAME-SEED.json, written by
``benchmarks.trial_heads run``.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.heads import CONSISTENT, DT, POCAN, mean_scores
from pipeline.files.io import read_json
from pipeline.reporting.markdown import NOTHING, markdown_table

LOSSES = {
    "cross-entropy-fer2013-ckplus48": "cross entropy",
    "fer2013-ckplus48": "contrastive (eq. 4)",
    "both-fer2013-ckplus48": "both",
}
"""The losses of stage 1, by name in the files."""
COLUMNS = (DT, POCAN, CONSISTENT)
SEEDS = (3, 4, 5)
"""Seeds of the source models that were trained with every loss."""


def table(folder: Path) -> str:
    """Return the table: in per cent, balanced accuracy in brackets."""
    heads = ["stage 1", "source's own test", *(f"{on}: {row}" for on in ("trials", "CK+48") for row in COLUMNS)]
    lines = []
    for loss, words in LOSSES.items():
        real = _stored(folder, f"heads-{loss}")
        trials = _stored(folder, f"trials-{loss}")
        if any(one["weights_sha256"] != real[seed]["weights_sha256"] for seed, one in trials.items()):
            raise SystemExit(f"{folder}: the files of {loss} are not of the same source models")
        own = 100 * np.array([one["source"]["own_shares_accuracy"] for one in real.values()])
        columns = [
            *zip(*map(_of_trials, trials.values()), strict=True),
            *zip(*map(_of_real, real.values()), strict=True),
        ]
        seeds = f"seeds {_listed(real)}" if [*trials] == [*real] else f"seeds {_listed(real)}; trials {_listed(trials)}"
        lines.append([f"{words} ({seeds})", _spread(own), *map(_cell, columns)])
    return markdown_table(heads, lines)


def _stored(folder: Path, name: str) -> dict[int, Any]:
    """Return the contents of existing files, by seed."""
    files = {seed: folder / f"{name}-{seed}.json" for seed in SEEDS}
    return {seed: read_json(file) for seed, file in files.items() if file.exists()}


def _listed(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, seeds))


def _of_real(content: Any) -> Iterator[NDArray[np.float64]]:
    """Return accuracy and balanced accuracy of each column, in per cent, means over seeds of stage 2."""
    for name in COLUMNS:
        yield 100 * np.array(mean_scores(content["runs"], name))


def _of_trials(content: Any) -> Iterator[NDArray[np.float64]]:
    """Return the same on trial targets, means over targets; a diverged method counts as the source model."""
    for name in COLUMNS:
        rows = content["rows"][POCAN if name == DT else name]
        kept = [row if name != DT and row["accuracy"] is not None else _transfer(row) for row in rows]
        yield 100 * np.mean([[row["accuracy"], row["balanced"]] for row in kept], axis=0)


def _transfer(row: dict[str, Any]) -> dict[str, Any]:
    return {"accuracy": row["dt_accuracy"], "balanced": row["dt_balanced"]}


def _cell(models: Sequence[NDArray[np.float64]]) -> str:
    if not models:
        return NOTHING
    accuracy, balanced = np.array(models).T
    return f"{_spread(accuracy)} ({balanced.mean():.1f})"


def _spread(models: NDArray[np.float64]) -> str:
    """Format the mean, with the deviation if there are several source models."""
    return f"{models.mean():.1f} ± {models.std():.1f}" if len(models) > 1 else f"{models.mean():.1f}"


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    print(table(parser.parse_args().folder))


if __name__ == "__main__":
    main()
