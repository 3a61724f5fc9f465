"""Where the files of installed packages lie, without importing these."""

from importlib.util import find_spec
from pathlib import Path


def package_folder(name: str) -> Path | None:
    """Where the installed top-level package of that name lies, found without an import; None: it is not installed."""
    spec = find_spec(name)
    locations = spec.submodule_search_locations if spec is not None else None
    return Path(locations[0]) if locations else None
