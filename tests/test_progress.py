"""Bars: they move at a terminal and leave a log readable."""

import io
import sys
import time

import pytest
import tqdm.std

from pipeline.progress import LOG_INTERVAL, progress_bar, working

HOUR = 3600


class Terminal(io.StringIO):
    """What says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def drawn(stderr: io.StringIO, seconds: int, monkeypatch: pytest.MonkeyPatch, leave: bool = True) -> list[str]:
    """The states that a bar writes of work with one step a second, begun and ended."""
    now = 0.0
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stderr)
        patched.setattr(tqdm.std, "time", lambda: now)
        for _ in progress_bar(range(seconds), leave=leave, desc="work"):
            now += 1.0
    return [state for state in stderr.getvalue().split("\r") if state.strip()]


def test_a_log_has_a_state_every_half_minute_and_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    states = drawn(io.StringIO(), HOUR, monkeypatch)
    assert HOUR / LOG_INTERVAL <= len(states) <= HOUR / LOG_INTERVAL + 2
    assert f"{HOUR}/{HOUR}" in states[-1]


def test_of_a_short_bar_that_does_not_stay_a_log_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(io.StringIO(), int(LOG_INTERVAL) - 1, monkeypatch, leave=False) == []
    assert drawn(io.StringIO(), int(LOG_INTERVAL) + 1, monkeypatch, leave=False) != []


def test_a_terminal_sees_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(drawn(Terminal(), HOUR, monkeypatch)) > HOUR / 2


def test_what_has_no_measure_shows_the_time_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("pipeline.progress.TICK", 0.01)
    with working("draw the page"):
        time.sleep(0.2)
    states = [state for state in terminal.getvalue().split("\r") if state.strip()]
    assert len(states) > 3
    assert states[0].startswith("draw the page: 00:00")
