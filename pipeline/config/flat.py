"""Nested values without sections, as parameters and metrics are logged and compared."""

from collections.abc import Mapping
from typing import Any


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    """Nested values as ``section.key``, as DVC writes them; lists become comma-separated text, None ``null``."""
    flat: dict[str, str | int | float | bool] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            flat[f"{prefix}{key}"] = ",".join(map(str, value))
        else:
            flat[f"{prefix}{key}"] = "null" if value is None else value
    return flat
