"""Progress bars: drawn in place at a terminal, a record now and then in a log."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")

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


@contextmanager
def named_steps(name: str, count: int) -> Iterator[Callable[[str], None]]:
    """A progress bar for work of unlike steps, none of which has a bar of its own.

    Args:
        name: of the work.
        count: of the steps.

    Yields:
        What is called where a step begins, with its name.
    """
    made: tqdm[Any] = progress_bar(total=count, desc=name, unit="step")
    with made:
        begun = 0

        def begin(step: str) -> None:
            nonlocal begun
            made.set_postfix_str(step, refresh=False)
            made.update(min(begun, 1))
            if sys.stderr.isatty():
                made.refresh()
            begun += 1

        yield begin
        made.set_postfix_str("", refresh=False)
        made.update(count - made.n)
