"""Compare what the encoder takes over from trial targets: two tables from stored results.

python -m benchmarks.encoder_statistics docs/results

The folder has trials-KIND-NAME-SEED.json for each of ``KINDS``, written by ``benchmarks.trial_heads run`` with
``--set`` and the parameters of the kind. Files of the suite studies/trials/cameras.yaml are called
cameras-KIND-NAME-SEED.json.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.heads import CONSISTENT
from benchmarks.trial_heads import START, summary, targets
from pipeline.reporting.markdown import NOTHING, markdown_table
from pipeline.trials.run import direct_transfer

CHOSEN = "chosen"
"""The kind of ``pocan adapt``."""

KINDS = {
    "source": ("source", "never", "never", "last"),
    "entropy": ("entropy", "never", "never", "last"),
    "warrant": ("entropy", "never", "never", "warrant"),
    "matched": ("entropy", "entropy", "never", "last"),
    CHOSEN: ("entropy", "never", "entropy", "warrant"),
}
"""By the kind of a file: ``encoder_statistics``, ``histogram_matching``, ``restoration`` and ``choose``."""


def table(folder: Path) -> str:
    """Return one row per kind and method, in points over direct transfer.

    Raises:
        SystemExit: direct transfer differs between the kinds for one seed, so the source models do.
    """
    lines: list[list[str]] = []
    transfer: dict[int, NDArray[np.float64]] = {}
    shown = set[tuple[str, ...]]()
    for kind, parameters in KINDS.items():
        files = _files(folder, f"trials-{kind}")
        for file in files:
            direct = targets([file])[CONSISTENT].dt_balanced.to_numpy()
            if not np.allclose(direct, transfer.setdefault(_seed(file), direct), atol=1e-3):
                raise SystemExit(f"{file}: direct transfer is not that of the other kinds: another source model")
        found, seeds = targets(files), ", ".join(str(_seed(file)) for file in files)
        cells = [f"`{value}`" for value in parameters]
        if START in found and parameters[:-1] not in shown:
            shown.add(parameters[:-1])
            lines.append([*cells[:-1], NOTHING, "the encoder alone", seeds, *summary(found[START])])
        lines.append([*cells, CONSISTENT, seeds, *summary(found[CONSISTENT])])
    titles = ["statistics", "matching", "restoration", "choose", "method", "source models"]
    return markdown_table([*titles, "gain (balanced)", "worst", "harmed"], lines, left=6)


def by_camera(folder: Path) -> str:
    """Return one row per camera of both suites: what ``pocan adapt`` gains, and for how many targets it restores."""
    every = targets([*_files(folder, f"trials-{CHOSEN}"), *_files(folder, f"cameras-{CHOSEN}")])[CONSISTENT]
    lines = [
        [str(camera), direct_transfer(of), f"{of.restored.astype(bool).sum()} of {len(of)}", *summary(of)]
        for camera, of in every.groupby("camera", sort=False)
    ]
    return markdown_table(["camera", "DT", "restored", "gain (balanced)", "worst", "harmed"], lines)


def _files(folder: Path, kind: str) -> list[Path]:
    return sorted(folder.glob(f"{kind}-*fer2013-ckplus48-*.json"), key=_seed)


def _seed(file: Path) -> int:
    return int(file.stem.rpartition("-")[2])


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    print(table(folder), by_camera(folder), sep="\n\n")


if __name__ == "__main__":
    main()
