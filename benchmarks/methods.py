"""Measure the duration of a step of stage 2 for every method, relative to DANN.

    python -m benchmarks.methods

All methods run in turn in one process, on noise, because speed does not depend on the pictures. The minimum of several
rounds is printed, because other work on the machine can only slow a step down.
"""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from pipeline.compute.team import Team
from pipeline.config.load import parse, read
from pipeline.config.methods import METHODS
from pipeline.config.schema import Params
from pipeline.data.batches import DeviceCrops
from pipeline.data.crops import CROP_SIZE
from pipeline.methods import Method, SourceDomain, TargetDomain, implementation
from pipeline.networks.network import PrototypeClassifier
from pipeline.training import loop

PICTURES = 256


def settings(method: str, **adapt: int) -> Params:
    """Return params.yaml with another method and its default parameters, and these values in section adapt."""
    raw = read(Path("params.yaml"))
    raw["adapt"] = {"method": method} | adapt
    return parse(raw, "params.yaml")


def task(params: Params, team: Team) -> Method:
    """Create the method of ``params`` on noise."""
    loop.prepare(0, team.device)
    images = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (PICTURES, CROP_SIZE, CROP_SIZE, 3), np.uint8)
    rows, crops = torch.arange(PICTURES), DeviceCrops(images, team.device)
    source = SourceDomain(crops, rows, rows % 7, rows[:0])
    model = PrototypeClassifier.untrained(params.model)
    return implementation(params.adapt)(
        model, source, TargetDomain(crops, rows, rows[:0]), params.adapt, params.augment, 0, team
    )


def seconds_a_step(method: Method, epoch: int, steps: int) -> float:
    """Return the mean duration of a step, including the views, without the prediction before the epoch."""
    plan = method.begin_epoch(epoch)
    method.step(next(plan.batches), 0.5)
    started = time.perf_counter()
    for _ in range(steps):
        method.step(next(plan.batches), 0.5)
    if method.team.device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - started) / steps


def main(
    batch_size: Annotated[int, typer.Option(help="Pictures of a domain in a step.")] = 32,
    rounds: Annotated[int, typer.Option(help="Rounds over all methods.")] = 3,
    steps: Annotated[int, typer.Option(help="Timed steps in a round.")] = 4,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Print a line for each method, on the network of params.yaml."""
    team, tasks = Team.single_process(device), {}
    for name in (name for name, params in METHODS.items() if params.adapts and params.changes != "decision"):
        tasks[name] = task(settings(name, epochs=rounds, steps_per_epoch=steps + 1, batch_size=batch_size), team)
    best = dict.fromkeys(tasks, float("inf"))
    for epoch in range(rounds):
        for name, method in tasks.items():
            best[name] = min(best[name], seconds_a_step(method, epoch, steps))
    for name, seconds in sorted(best.items(), key=lambda item: item[1]):
        print(f"{METHODS[name].title:14} {1000 * seconds:8.1f} ms {seconds / best['dann']:6.2f} × DANN")


if __name__ == "__main__":
    typer.run(main)
