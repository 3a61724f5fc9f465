"""Progress bars: drawn in place at a terminal, a record now and then in a log."""

import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")

TICK = 1.0
"""Seconds between two states of what has no measure, at a terminal."""

LOG_INTERVAL = 30.0
"""Seconds between two records of a bar where stderr is no terminal: the log of an hour has some hundred."""


def progress_bar(over: Iterable[T] | None = None, *, leave: bool = True, **options: Any) -> "tqdm[T]":
    """A progress bar on stderr.

    Args:
        over: what it goes over; None: its user moves it on.
        leave: whether its last state stays. In a log a bar that does not stay is not seen before it has taken
            ``LOG_INTERVAL``.
        **options: further ones of tqdm.
    """
    if not sys.stderr.isatty():
        # tqdm's monitor would draw every ten seconds (maxinterval) whatever the least interval.
        options |= {"mininterval": LOG_INTERVAL, "maxinterval": LOG_INTERVAL, "delay": 0.0 if leave else LOG_INTERVAL}
    made: tqdm[Any] = tqdm(over, leave=leave, **options)
    return made


def say(message: str) -> None:
    """Print a message on stderr, above bars that are drawn there: standard output is for results alone."""
    tqdm.write(message, file=sys.stderr)


@contextmanager
def working(title: str) -> Iterator[None]:
    """Show that something goes on whose steps cannot be counted: its title and the time it has taken.

    Args:
        title: what is done.
    """
    ended = threading.Event()
    interval = TICK if sys.stderr.isatty() else LOG_INTERVAL
    shown: tqdm[Any] = progress_bar(desc=title, bar_format="{desc}: {elapsed}")
    with shown:

        def tick() -> None:
            while not ended.wait(interval):
                shown.refresh()

        clock = threading.Thread(target=tick, daemon=True)
        clock.start()
        try:
            yield
        finally:
            ended.set()
            clock.join()
