"""Compare the encoder's statistics on trial targets: a table from stored results.

python -m benchmarks.encoder_statistics docs/results

The folder has trials-STATISTICS-NAME-SEED.json, written by ``benchmarks.trial_heads run`` with ``--set
adapt.encoder_statistics=STATISTICS``, for each value of STATISTICS.
"""

import argparse
from pathlib import Path

from benchmarks.heads import CONSISTENT, POCAN
from benchmarks.trial_heads import START, summary, targets
from pipeline.files.io import read_json
from pipeline.reporting.markdown import markdown_table

NAME = "12-epochs-fer2013-ckplus48"
STATISTICS = ("source", "entropy")
"""Values of ``adapt.encoder_statistics`` that are compared."""
ROWS = (START, POCAN, CONSISTENT)


def table(folder: Path) -> str:
    """Return one row per kind of statistics and method, in points over direct transfer.

    Raises:
        SystemExit: the files of both kinds are not of the same source models.
    """
    lines, models = [], set()
    for statistics in STATISTICS:
        files = sorted(folder.glob(f"trials-{statistics}-{NAME}-*.json"))
        models.add(tuple(read_json(file)["weights_sha256"] for file in files))
        found = targets(files)
        lines += [[f"`{statistics}`", name, *summary(found[name])] for name in ROWS if name in found]
    if len(models) > 1:
        raise SystemExit(f"{folder}: the files of {' and '.join(STATISTICS)} are not of the same source models")
    return markdown_table(["`adapt.encoder_statistics`", "method", "gain (balanced)", "worst", "harmed"], lines, left=2)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    print(table(parser.parse_args().folder))


if __name__ == "__main__":
    main()
