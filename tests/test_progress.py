"""Bars: they move at a terminal and leave a log readable."""

import io
import sys

import pytest
import tqdm.std

from pipeline.progress import LOG_INTERVAL, named_steps, progress_bar

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


def steps_drawn(stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The states that the bar of two named steps writes."""
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stderr)
        with named_steps("evaluate", 2) as begin:
            begin("scores")
            begin("files")
    return [state for state in stderr.getvalue().split("\r") if state.strip()]


def test_a_log_says_that_steps_have_begun_and_that_they_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    first, last = steps_drawn(io.StringIO(), monkeypatch)
    assert "evaluate:   0%" in first
    assert "2/2" in last


def test_a_terminal_sees_which_step_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    states = steps_drawn(Terminal(), monkeypatch)
    assert any("0/2" in state and "scores" in state for state in states)
    assert any("1/2" in state and "files" in state for state in states)
    assert "2/2" in states[-1]
