"""Compare predictions from files of this project and its peers, in pictures per second, on the same pictures.

    python -m benchmarks.predict_peers

Each runs in a separate process on one core, with its models loaded, in turn, for several rounds. Seconds are CPU time;
the best round is printed, because other work on the machine can only slow a run down. The pictures are drawn stand-ins.
Installation of the peers and results: benchmarks/README.md.
"""

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from benchmarks.predictors import CONTESTANTS, MODULES, write_weights
from pipeline.standins import draw


def compare(
    rounds: Annotated[int, typer.Option(help="Runs of each contestant.")] = 3,
    scale: Annotated[float, typer.Option(help="Size of the drawn set.")] = 0.1,
    seconds: Annotated[float, typer.Option(help="Least time of a run.")] = 2.0,
) -> None:
    """Print the table."""
    missing = {peer for peer, modules in MODULES.items() if any(find_spec(module) is None for module in modules)}
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTESTANTS if name not in missing}
    with tempfile.TemporaryDirectory() as folder:
        home, pictures = Path(folder), Path(folder) / "sfew"
        write_weights(home, list(runs))
        draw("sfew", pictures, seed=7, scale=scale)
        print(
            f"{len(list(pictures.rglob('*.png')))} pictures of 720×576, one core of {os.cpu_count()} "
            f"({torch.backends.cpu.get_cpu_capability()}), PyTorch {torch.__version__}\n"
        )
        for _ in range(rounds):
            for name, results in runs.items():
                results.append(_measured(name, pictures, seconds, home))
    _print_table(runs)
    for peer in sorted(missing):
        print(f"\n{peer}: not installed")


def _measured(contestant: str, pictures: Path, seconds: float, home: Path) -> dict[str, Any]:
    """Run one program in a separate process, with its weights in ``home``."""
    command = [sys.executable, "-m", "benchmarks.predictors", contestant, str(pictures), str(seconds)]
    variables = os.environ | {"HOME": str(home), "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _print_table(runs: dict[str, list[dict[str, Any]]]) -> None:
    rates = {name: max(run["rate"] for run in results) for name, results in runs.items()}
    best_peer = max((rates[peer] for peer in MODULES if peer in rates), default=float("nan"))
    print("| contestant | pictures/s | × best peer | peak memory, MiB | faces found |")
    print("| :--- | ---: | ---: | ---: | ---: |")
    for name, results in runs.items():
        memory = max(run["memory"] for run in results)
        ratio = rates[name] / best_peer
        print(f"| {name} | {rates[name]:.1f} | {ratio:.2f} | {memory:.0f} | {results[0]['faces']} |")


if __name__ == "__main__":
    typer.run(compare)
