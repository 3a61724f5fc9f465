"""The order of the test files."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The whole pipeline first: it takes longest, and the other files run beside it."""
    items.sort(key=lambda item: item.path.name != "test_pipeline.py")
