"""dvc.yaml against the code: a stage depends on every module it runs and on every parameter it reads."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.backbones import BACKBONES
from pipeline.config import dependencies
from pipeline.config.dependencies import RESULT_SECTIONS
from pipeline.config.load import load
from pipeline.config.methods import METHODS
from pipeline.datasets import DATASETS

ROOT = Path(__file__).parents[2]
PLUMBING = (
    # Reads, writes, reports and connects; decides no number, so a change to it makes no result stale.
    "pipeline/progress.py",
    "pipeline/command_line.py",
    "pipeline/errors.py",
    "pipeline/files/",
    "pipeline/locks.py",
    "pipeline/registry.py",
    "pipeline/shards.py",
    "pipeline/config/dependencies.py",
    "pipeline/config/paths.py",
    "pipeline/config/learning.py",
    "pipeline/config/load.py",
    "pipeline/config/pictures.py",
    "pipeline/config/preflight.py",
    "pipeline/config/schema.py",
    "pipeline/config/section.py",
    "pipeline/config/yaml_text.py",
    "pipeline/config/methods/base.py",
    "pipeline/compute/device.py",
    "pipeline/tracking/",
    "pipeline/training/checkpoints.py",
    "pipeline/training/progress.py",
    # MTCNN's networks and published weights, by which AGRA alone finds landmarks: tests hold what they compute, and
    # where they change the faces stage runs again, which everything depends on.
    "pipeline/faces/networks.py",
    # Registries: what is added to them changes nothing for the others. Their entries are looked at one by one below.
    "pipeline/backbones/__init__.py",
    "pipeline/config/methods/__init__.py",
    "pipeline/datasets/__init__.py",
    "pipeline/methods/__init__.py",
)
ROOM_SIGN = 3
"""Lines that an ``__init__.py`` may have and still be nothing but its package's docstring."""

NOT_RESULTS = {
    # Where a run computes, reads and is logged; data.root is a dependency of its own.
    "device",
    "compute.devices",
    "tracking",
    "data.root",
    # Decides which stages there are.
    "standins.sets",
}


def stages() -> dict[str, dict[str, Any]]:
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    return {name: stage.get("do", stage) for name, stage in graph["stages"].items()}


def module_file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def imported(path: Path) -> set[Path]:
    """The project's own files that ``path`` imports, at any depth of its code."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            if name.startswith(("pipeline", "stages")) and (file := module_file(name)):
                found.add(file)
    return found


def closure(path: Path) -> set[str]:
    seen: set[Path] = set()
    pending = [path]
    while pending:
        current = pending.pop()
        if current not in seen:
            seen.add(current)
            # What plumbing imports for a type or a constant is not run by the stage on its account.
            if not is_plumbing(current):
                pending += imported(current)
    return {str(file.relative_to(ROOT)) for file in seen if not is_plumbing(file)}


def is_plumbing(file: Path) -> bool:
    if file.name == "__init__.py" and len(file.read_text().splitlines()) <= ROOM_SIGN:
        return True
    return str(file.relative_to(ROOT)).startswith(PLUMBING)


def covered(files: set[str], paths: set[str]) -> set[str]:
    """Those of ``files`` that are among ``paths`` or below one of them."""
    return {file for file in files if any(file == path or file.startswith(f"{path}/") for path in paths)}


@pytest.mark.parametrize("name", sorted(stages()))
def test_a_stage_depends_on_the_code_it_runs_and_on_no_other(name: str) -> None:
    stage = stages()[name]
    module = stage["cmd"].split()[2]
    code = closure(ROOT / f"{module.replace('.', '/')}.py")
    declared = {path for path in stage["deps"] if path.startswith(("pipeline", "stages"))}
    by_name = {path for path in declared if "${" in path}
    for path in by_name:
        code |= set.union(*(closure(file) for file in entries(path)))
    code -= {str(file.relative_to(ROOT)) for path in by_name for file in entries(path)}
    declared -= by_name
    for path in declared & {"pipeline/datasets/folder.py"}:  # the reader of what has none of its own
        code |= closure(ROOT / path)
    assert code - covered(code, declared) == set()
    assert {path for path in declared if not covered(code, {path})} == set()


def entries(path: str) -> list[Path]:
    """The registered modules that a path with a name in it stands for."""
    for mark, names in (("${adapt.method}", METHODS), ("${model.backbone}", BACKBONES), ("${item}", DATASETS)):
        if mark in path:
            files = [ROOT / path.replace(mark, name) for name in names]
            assert [file for file in files if not file.is_file()] == []
            return files
    raise AssertionError(path)


BY_NAME = pytest.mark.parametrize(
    ("folder", "names"),
    [("methods", METHODS), ("config/methods", METHODS), ("backbones", BACKBONES), ("datasets", DATASETS)],
)
NO_ENTRIES = {"__init__", "base", "space", "two_domains", "few_labels", "folder", "video"}
"""Modules beside the entries of registries: what entries share, and what is used without being chosen by a name."""


@BY_NAME
def test_every_module_of_a_registry_is_registered(folder: str, names: Iterable[str]) -> None:
    modules = {path.stem for path in (ROOT / "pipeline" / folder).glob("*.py")} - NO_ENTRIES
    assert modules - set(names) == set(), "add their lines to the registry: docs/extending.md"


@BY_NAME
def test_what_is_added_by_name_stands_alone(folder: str, names: Iterable[str]) -> None:
    """A stage depends on the one module that is chosen: what this shares with another is below parts."""
    files = {f"pipeline/{folder}/{name}.py" for name in names}
    for file in sorted(files):
        assert (closure(ROOT / file) & files) <= {file}, file


def test_nothing_that_is_added_by_name_is_a_dependency_of_all() -> None:
    """A new reader, backbone or method is a new file; a stage that depended on its folder would become stale."""
    folders = {"datasets", "backbones", "methods", "config/methods"}
    for stage in stages().values():
        assert {f"pipeline/{folder}" for folder in folders} & set(stage["deps"]) == set()


def test_only_agra_depends_on_agras_code() -> None:
    """It is the largest by far, and nothing of it is shared."""
    others = set.union(*(closure(ROOT / f"pipeline/methods/{name}.py") for name in METHODS if name != "agra"))
    assert "pipeline/methods/agra.py" not in others
    assert covered(others, {"pipeline/faces"}) == set()


def test_no_name_reaches_a_shell() -> None:
    assert {stage["cmd"] for stage in stages().values() if "${" in stage["cmd"]} == set()


@pytest.mark.parametrize("stage", ["pretrain", "prototypes", "adapt"])
def test_a_checkpoint_is_fingerprinted_by_the_declared_code_alone(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    settings = load()
    found = set(dependencies.code_digests(stage, settings))
    paths = {path for path in stages()[stage]["deps"] if path.startswith(("pipeline", "stages"))}
    chosen = {path.replace("${adapt.method}", "pocan").replace("${model.backbone}", "resnet10") for path in paths}
    assert found == covered(found, chosen)
    assert {path for path in chosen if not covered(found, {path})} == set()
    assert covered(found, {"pipeline/tracking", "pocan/cli.py", "pipeline/methods/dt.py"}) == set()


def keys_of(attribute: str) -> list[str]:
    """The keys that reading ``settings.ATTRIBUTE`` reads: those below it where it is a section with keys."""
    value: Any = yaml.safe_load((ROOT / "params.yaml").read_text())
    for place, part in enumerate(attribute.split(".")):
        if part not in value:  # what a method says of itself, which its parameters decide
            return keys_of(".".join(attribute.split(".")[:place]))
        value = value[part]
    return [f"{attribute}.{key}" for key in value] if isinstance(value, dict) else [attribute]


READ_FOR_STAGES = {"evaluate": ["pipeline/evaluation/evaluated.py"]}
"""Modules of the library that read parameters for a stage."""


@pytest.mark.parametrize("name", sorted(stages()))
def test_a_stage_declares_the_parameters_it_reads(name: str) -> None:
    stage = stages()[name]
    module = ROOT / f"{stage['cmd'].split()[2].replace('.', '/')}.py"
    texts = [module.read_text(), *(ROOT.joinpath(path).read_text() for path in READ_FOR_STAGES.get(name, ()))]
    nodes = [node for text in texts for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)]
    inner = {id(node.value) for node in nodes}
    read_texts = [
        ast.unparse(node).removesuffix(".model_dump").removesuffix(".get") for node in nodes if id(node) not in inner
    ]
    attributes = {text.removeprefix("settings.") for text in read_texts if re.fullmatch(r"settings(\.\w+)+", text)}
    read = {key for attribute in attributes for key in keys_of(attribute)}
    declared = [key.split("${")[0].rstrip(".") for key in stage.get("params", [])]
    assert read, f"{module} reads no parameter by way of settings"
    for key in read:
        is_declared = any(key == path or key.startswith(f"{path}.") for path in declared)
        assert is_declared or key.split(".")[0] in NOT_RESULTS or key in NOT_RESULTS, key


def test_a_result_is_evaluated_again_when_a_parameter_changes_that_it_names() -> None:
    declared = {key.split(".")[0] for key in stages()["evaluate"]["params"]}
    assert set(RESULT_SECTIONS) | {"split", "methods"} == declared


RESULTS = {"evaluate", "report", "faces-report"}
"""Stages whose outputs name the experiment and the MLflow run, or are made of such: they are cheap and run again."""


@pytest.mark.parametrize("name", sorted(set(stages()) - RESULTS))
def test_dvc_keeps_what_a_stage_made_for_every_later_run_with_the_same_inputs(name: str) -> None:
    """DVC's run cache takes no stage with an output that it does not keep itself, except for metrics and plots."""
    assert [out for out in stages()[name].get("outs", []) if isinstance(out, dict)] == []


def test_every_stage_module_is_in_the_graph() -> None:
    modules = {stage["cmd"].split()[2] for stage in stages().values()}
    files = {f"stages.{path.stem}" for path in (ROOT / "stages").glob("*.py") if path.stem != "__init__"}
    assert modules == files
