"""What an epoch cost."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.training.progress import Pace

ROOT = Path(__file__).parents[2]
HELD = 1 << 30
"""Bytes: several times what a process holds that has only loaded PyTorch."""

CHILD = "import torch; from pipeline.training.progress import peak_memory; print(peak_memory(torch.device('cpu')))"
PARENT = f"""
import subprocess, sys
b"x" * {HELD}
subprocess.run([sys.executable, "-c", {CHILD!r}], check=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/status").is_file() or not re.search("VmHWM", Path("/proc/self/status").read_text()),
    reason="the system keeps no such mark",
)
def test_the_peak_of_a_process_is_its_own_and_not_that_of_the_one_that_started_it() -> None:
    printed = subprocess.run([sys.executable, "-c", PARENT], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 50 << 20 < int(printed.stdout) < HELD


def test_steps_that_take_several_times_as_long_are_told_of_once() -> None:
    pace = Pace()
    told = [pace.slowdown(seconds) for seconds in [0.5] * 20 + [0.9] * 20 + [2.0] * 20 + [5.0] * 20]
    assert [place for place, text in enumerate(told) if text] == [44]  # most of the last eight are slow
    assert told[44] == "a step takes 2.0 s, 4 times as long as before"


def test_nothing_is_said_of_short_steps() -> None:
    pace = Pace()
    assert not any(pace.slowdown(seconds) for seconds in [0.001] * 20 + [0.05] * 20)
