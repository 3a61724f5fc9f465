"""Compare what the encoder takes over from trial targets: a table from stored results.

python -m benchmarks.encoder_statistics docs/results

The folder has trials-KIND-NAME-SEED.json for each of ``KINDS``, written by ``benchmarks.trial_heads run`` with
``--set`` and the parameters of the kind.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.heads import CONSISTENT
from benchmarks.trial_heads import START, summary, targets
from pipeline.reporting.markdown import NOTHING, markdown_table
from pipeline.validators import LAST

KINDS = {
    "source": ("source", "never", "never", "last"),
    "entropy": ("entropy", "never", "never", "last"),
    "warrant": ("entropy", "never", "never", "warrant"),
    "matched": ("entropy", "entropy", "never", "last"),
    "restored": ("entropy", "never", "entropy", "last"),
    "chosen": ("entropy", "never", "entropy", "warrant"),
    "always": ("target", "never", "always", "last"),
}
"""By the kind of a file: ``encoder_statistics``, ``histogram_matching``, ``restoration`` and ``choose``."""


def table(folder: Path) -> str:
    """Return one row per kind and method, in points over direct transfer.

    Raises:
        SystemExit: direct transfer differs between the kinds for one seed, so the source models do.
    """
    lines: list[list[str]] = []
    transfer: dict[str, NDArray[np.float64]] = {}
    for kind, parameters in KINDS.items():
        files = sorted(folder.glob(f"trials-{kind}-*fer2013-ckplus48-*.json"), key=_seed)
        for file in files:
            direct = targets([file])[CONSISTENT].dt_balanced.to_numpy()
            if not np.allclose(direct, transfer.setdefault(_seed(file), direct), atol=1e-3):
                raise SystemExit(f"{file}: direct transfer is not that of the other kinds: another source model")
        found, seeds = targets(files), ", ".join(map(_seed, files))
        cells = [f"`{value}`" for value in parameters]
        if START in found and parameters[-1] == LAST:
            lines.append([*cells[:-1], NOTHING, "the encoder alone", seeds, *summary(found[START])])
        lines.append([*cells, CONSISTENT, seeds, *summary(found[CONSISTENT])])
    titles = ["statistics", "matching", "restoration", "choose", "method", "source models"]
    return markdown_table([*titles, "gain (balanced)", "worst", "harmed"], lines, left=6)


def _seed(file: Path) -> str:
    return file.stem.rpartition("-")[2]


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    print(table(parser.parse_args().folder))


if __name__ == "__main__":
    main()
