"""The benchmarks run with the parameters that the project has now; what they measure is not tested."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from benchmarks import loops, methods
from pipeline.compute.team import Team
from pipeline.config.load import load
from tests.methods.test_contract import TRAINED

BATCH = 4


def test_a_step_of_every_method_can_be_timed() -> None:
    settings = {name: methods.settings(name, epochs=1, steps_per_epoch=2, batch_size=BATCH) for name in TRAINED}
    assert [each.adapt.method for each in settings.values()] == TRAINED
    assert methods.seconds_a_step(methods.task(settings["shot"], Team.single_process("cpu")), 0, 1) > 0


@pytest.mark.parametrize("contestant", loops.CONTESTANTS, ids="-".join)
def test_every_training_loop_takes_steps(contestant: tuple[str, str], tmp_path: Path) -> None:
    images = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (4 * BATCH, 112, 112, 3), np.uint8)
    setting = loops.Setting(contestant[1], "resnet10", BATCH, "cpu", "fp32", False, str(tmp_path))
    steps = loops.CONTESTANTS[contestant](setting, images, load())
    assert next(steps) == 2 * BATCH * int(contestant[1]), asdict(setting)
