"""Compare the speed of stage 2 on features and through the whole network, and measure the cost of the features.

python -m benchmarks.stage2 TARGET [--steps 300] [--through 10]     in a project with models/prototypes and crops
"""

import argparse
import copy
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from pipeline.adaptation import Adaptation
from pipeline.compute.team import Team
from pipeline.config import paths
from pipeline.config.load import load
from pipeline.config.paths import AdaptationPaths
from pipeline.data.crops import CROP_SIZE
from pipeline.data.prepared import PreparedData
from pipeline.networks.inference import BATCH, evaluating
from pipeline.networks.trained import open_model
from pipeline.reporting.markdown import markdown_table
from pipeline.training import loop

ROUNDS = 8
"""Number of batches for the encoder's speed."""


def measure(target: str, steps: int, through: int) -> str:
    """Return a table: seconds and rates of each part."""
    settings = load(changes=["adapt.trains=head", "adapt.epochs=1", f"adapt.steps_per_epoch={steps}"])
    team = Team.single_process(settings.device)
    loop.prepare(settings.seed, team.device)
    model, source, data = open_model(paths.PROTOTYPES), PreparedData.open(settings.source), PreparedData.open(target)
    with TemporaryDirectory() as folder:
        outputs = replace(AdaptationPaths.of_target(target), features=Path(folder))

        def work(trains: str, count: int) -> Adaptation:
            params = settings.adapt.model_copy(update={"trains": trains, "steps_per_epoch": count})
            return Adaptation(
                copy.deepcopy(model), source, data, params, settings.augment, settings.seed, None, {}, outputs
            )

        on_features = work("head", steps)
        encoder = on_features.encoder.to(team.device)
        pictures = torch.rand(BATCH, 3, CROP_SIZE, CROP_SIZE, device=team.device)
        with torch.no_grad(), evaluating(encoder):
            encoder(pictures)
            began = time.perf_counter()
            for _ in range(ROUNDS):
                encoder(pictures)
            rate = ROUNDS * BATCH / (time.perf_counter() - began)
        rows, seconds = [["the encoder alone", "", f"{rate:.0f} views/s", ""]], {}
        for request in on_features.feature_requests:
            assert request is not None
            began = time.perf_counter()
            request.write(outputs.features / request.name, team.device)
            taken = time.perf_counter() - began
            views = len(request.rows) + request.views * len(request.train_rows)
            share = f"{views / taken / rate:.2f} of the encoder's rate"
            rows.append([f"features of {request.name}", f"{taken:.1f}", f"{views} views", share])
        for trains, count in (("head", steps), ("all", through)):
            task = (on_features if trains == "head" else work(trains, count)).method(team)
            plan = task.begin_epoch(0)
            began = time.perf_counter()
            for index, batch in enumerate(plan.batches):
                task.step(batch, index / count)
            seconds[trains] = (time.perf_counter() - began) / count
            rows.append([f"{count} steps, trains: {trains}", f"{count * seconds[trains]:.1f}", "", ""])
    ratio = seconds["all"] / seconds["head"]
    rows.append(["a step through the network / on features", "", "", f"{ratio:.0f} ×"])
    return markdown_table(["part", "time (s)", "", ""], rows)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--through", type=int, default=10)
    options = parser.parse_args()
    print(measure(options.target, options.steps, options.through))


if __name__ == "__main__":
    main()
