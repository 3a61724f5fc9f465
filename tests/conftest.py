"""The order of the test files, and Ctrl-C."""

import signal

import pytest

# A process that a script starts in the background ignores Ctrl-C, and so would those that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST = (
    "test_pipeline.py",
    "test_two_clones.py",
    "test_interrupted_stage.py",
    "test_contract.py",
    "test_own_terms.py",
    "test_outage.py",
    "test_team.py",
    "test_adapt_command.py",
)
"""Files that take longest, one process each: run first, so that all processes end at about the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, the whole pipeline before all."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))
