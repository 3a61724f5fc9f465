"""Which code decides the result of a stage: what dvc.yaml declares."""

import inspect
import re
from pathlib import Path
from typing import Any

import yaml

from pipeline.config.flat import flatten
from pipeline.config.schema import Params
from pipeline.errors import ParamsError
from pipeline.files.digests import code_digests, sha256

GRAPH = Path("dvc.yaml")
CODE = ("pipeline/", "stages/")


def digests(stage: str, params: Params, *plugins: Any) -> dict[str, str]:
    """The SHA-256 of every file of code that ``stage`` depends on, by its name.

    plugins: classes or functions that decide the result too and may have been registered from outside of the project.

    Raises:
        ParamsError: there is no dvc.yaml here.
    """
    found = code_digests(declared(stage, params))
    for plugin in plugins:
        if not plugin.__module__.startswith("pipeline."):
            found[plugin.__module__] = sha256(Path(inspect.getfile(plugin)))
    return found


def declared(stage: str, params: Params) -> list[Path]:
    """The files and folders of code that ``stage`` depends on, relative to the project's root.

    Raises:
        ParamsError: there is no dvc.yaml here.
    """
    try:
        stages = yaml.safe_load(GRAPH.read_text(encoding="utf-8"))["stages"]
    except FileNotFoundError:
        raise ParamsError(f"{GRAPH}: no such file; run from the project's root") from None
    chosen = flatten(params.model_dump())
    deps = stages[stage].get("do", stages[stage])["deps"]
    paths = (re.sub(r"\$\{(.+?)\}", lambda match: str(chosen.get(match[1], match[0])), path) for path in deps)
    return [Path(path) for path in paths if path.startswith(CODE)]
