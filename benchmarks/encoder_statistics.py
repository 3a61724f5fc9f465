"""Compare what the encoder takes over from trial targets: a table from stored results.

python -m benchmarks.encoder_statistics docs/results

The folder has trials-KIND-NAME-SEED.json for each of ``KINDS``, written by ``benchmarks.trial_heads run`` with
``--set`` and the parameters of the kind.
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.heads import CONSISTENT
from benchmarks.trial_heads import START, summary, targets
from pipeline.files.io import read_json
from pipeline.reporting.markdown import NOTHING, markdown_table

KINDS = {
    "source": ("`source`", "`never`", "`last`"),
    "entropy": ("`entropy`", "`never`", "`last`"),
    "matched": ("`entropy`", "`entropy`", "`last`"),
    "adapt": ("`entropy`", "`entropy`", "`warrant`"),
}
"""By the kind of a file: ``encoder_statistics``, ``histogram_matching`` and ``choose``."""


def table(folder: Path) -> str:
    """Return one row per kind and method, in points over direct transfer.

    Raises:
        SystemExit: direct transfer differs between the kinds, so their source models do.
    """
    lines, transfer = [], []
    for kind, (statistics, matching, choice) in KINDS.items():
        files = sorted(folder.glob(f"trials-{kind}-*fer2013-ckplus48-*.json"), key=lambda file: read_json(file)["seed"])
        found = targets(files)
        transfer.append(found[CONSISTENT].dt_balanced.to_numpy())
        if START in found and choice == "`last`":
            lines.append([statistics, matching, NOTHING, "the encoder alone", *summary(found[START])])
        lines.append([statistics, matching, choice, CONSISTENT, *summary(found[CONSISTENT])])
    if any(len(one) != len(transfer[0]) or not np.allclose(one, transfer[0], atol=1e-3) for one in transfer):
        raise SystemExit(f"{folder}: direct transfer differs between {', '.join(KINDS)}: not the same source models")
    titles = ["statistics", "matching", "choose", "method", "gain (balanced)", "worst", "harmed"]
    return markdown_table(titles, lines, left=4)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    print(table(parser.parse_args().folder))


if __name__ == "__main__":
    main()
