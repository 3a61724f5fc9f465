"""What a result depends on: the code that dvc.yaml declares for each stage, and the parameters."""

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

import pipeline
from pipeline.config.project import params_file
from pipeline.config.schema import ModelRunParams, Params
from pipeline.errors import ParamsError
from pipeline.files import io

GRAPH = Path("dvc.yaml")
CODE = ("pipeline/", "stages/")

RESULT_SECTIONS = ("seed", "source", "faces", "model", "augment", "pretrain", "prototypes", "adapt", "evaluate")
"""The sections that affect a result, in addition to ``split``. Device, precision and tracking are not among them."""


def result_params(params: Params, target: str) -> dict[str, str | int | float | bool]:
    """Return every parameter that affects the result on ``target``, by its full name ("adapt.tau")."""
    values = params.model_dump()
    chosen = {name: values[name] for name in RESULT_SECTIONS}
    return flatten({**chosen, "split": {name: values["split"][name] for name in (params.source, target)}})


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    """Flatten nested mappings to full names ("adapt.tau"), as DVC and MLflow show them.

    Args:
        values: nested mappings; a list becomes comma-separated text, None becomes ``null``.
        prefix: prefix of every name.
    """
    flat: dict[str, str | int | float | bool] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            flat[f"{prefix}{key}"] = ",".join(map(str, value))
        else:
            flat[f"{prefix}{key}"] = "null" if value is None else value
    return flat


def code_digests(stage: str, params: ModelRunParams, *plugins: Any) -> dict[str, str]:
    """Return the SHA-256 of every code file that a stage depends on, by path.

    Outside of a project, these are all files of the library.

    Args:
        stage: the stage's name in dvc.yaml, without the data set.
        params: the parameters; they determine the files of the method and the backbone.
        plugins: classes or functions that also affect the result and may be defined outside of the project.
    """
    here = io.python_digests(declared_code(stage, params)) if params_file() and GRAPH.is_file() else {}
    found = here or io.python_digests([Path(pipeline.__file__).parent])
    for plugin in plugins:
        if not plugin.__module__.startswith("pipeline."):
            found[plugin.__module__] = io.sha256(Path(inspect.getfile(plugin)))
    return found


def declared_code(stage: str, params: ModelRunParams) -> list[Path]:
    """Return the code files and folders that ``stage`` depends on, relative to the project's root.

    Raises:
        ParamsError: there is no dvc.yaml here.
    """
    return _resolved(_stages()[stage], flatten(params.model_dump()))


def deciding_code(params: Params) -> set[Path]:
    """Return all code that the results of a run depend on, in all stages up to evaluate, and dvc.yaml.

    Raises:
        ParamsError: there is no dvc.yaml here.
    """
    stages, chosen = _stages(), flatten(params.model_dump())
    found = {GRAPH, *_resolved(stages["pretrain"], chosen), *_resolved(stages["prototypes"], chosen)}
    for name in (params.source, *params.targets):
        made_by = ["standins"] if name in params.standins.sets else []
        made_by += ["faces" if name in params.data.sets else "faces-folder"]
        made_by += (
            ["split-source", "features-source"] if name == params.source else ["split", "features", "adapt", "evaluate"]
        )
        for stage in made_by:
            found.update(_resolved(stages[stage], {**chosen, "item": name}))
    return found


def _stages() -> dict[str, Any]:
    try:
        stages: dict[str, Any] = yaml.safe_load(GRAPH.read_text(encoding="utf-8"))["stages"]
    except FileNotFoundError:
        raise ParamsError(f"{GRAPH}: no such file; run from the project's root") from None
    return stages


def _resolved(stage: dict[str, Any], chosen: Mapping[str, Any]) -> list[Path]:
    """Return the code among a stage's dependencies; ``${…}`` is filled in from ``chosen`` if the name is there."""
    deps = stage.get("do", stage)["deps"]
    paths = (re.sub(r"\$\{(.+?)\}", lambda match: str(chosen.get(match[1], match[0])), path) for path in deps)
    return [Path(path) for path in paths if path.startswith(CODE)]
