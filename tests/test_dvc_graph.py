"""dvc.yaml against the code: a stage depends on every module it runs and on every parameter it reads."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PLUMBING = {
    # Reads, writes, reports and connects; decides no number, so a change to it makes no result stale.
    "pipeline/__init__.py",
    "pipeline/allocator.py",
    "pipeline/checkpoints.py",
    "pipeline/device.py",
    "pipeline/errors.py",
    "pipeline/execution.py",
    "pipeline/files.py",
    "pipeline/layout.py",
    "pipeline/params.py",
    "pipeline/progress.py",
    "pipeline/stage.py",
    "pipeline/tables.py",
    "pipeline/tracking.py",
    "stages/__init__.py",
}


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
            if str(current.relative_to(ROOT)) not in PLUMBING:
                pending += imported(current)
    return {str(file.relative_to(ROOT)) for file in seen} - PLUMBING


@pytest.mark.parametrize("name", sorted(stages()))
def test_a_stage_depends_on_the_code_it_runs_and_on_no_other(name: str) -> None:
    stage = stages()[name]
    module = stage["cmd"].split()[2]
    code = closure(ROOT / f"{module.replace('.', '/')}.py")
    declared = {path for path in stage["deps"] if path.startswith(("pipeline", "stages"))}
    covered = {file for file in code if any(file == path or file.startswith(f"{path}/") for path in declared)}
    assert code - covered == set()
    unused = {path for path in declared if not any(file == path or file.startswith(f"{path}/") for file in code)}
    assert unused == set()


def keys_of(attribute: str) -> list[str]:
    """The keys that reading ``settings.ATTRIBUTE`` reads: those below it where it is a section with keys."""
    value: Any = yaml.safe_load((ROOT / "params.yaml").read_text())
    for part in attribute.split("."):
        value = value[part]
    return [f"{attribute}.{key}" for key in value] if isinstance(value, dict) else [attribute]


@pytest.mark.parametrize("name", sorted(stages()))
def test_a_stage_declares_the_parameters_it_reads(name: str) -> None:
    stage = stages()[name]
    module = ROOT / f"{stage['cmd'].split()[2].replace('.', '/')}.py"
    nodes = [node for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Attribute)]
    inner = {id(node.value) for node in nodes}
    texts = [
        ast.unparse(node).removesuffix(".model_dump").removesuffix(".get") for node in nodes if id(node) not in inner
    ]
    attributes = {text.removeprefix("settings.") for text in texts if re.fullmatch(r"settings(\.\w+)+", text)}
    read = {key for attribute in attributes for key in keys_of(attribute)}
    declared = [key.split("${")[0].rstrip(".") for key in stage.get("params", [])]
    assert read, f"{module} reads no parameter by way of settings"
    for key in read:
        covered = any(key == path or key.startswith(f"{path}.") for path in declared)
        assert covered or key.split(".")[0] in NOT_RESULTS or key in NOT_RESULTS, key


def test_every_stage_module_is_in_the_graph() -> None:
    modules = {stage["cmd"].split()[2] for stage in stages().values()}
    files = {f"stages.{path.stem}" for path in (ROOT / "stages").glob("*.py") if path.stem != "__init__"}
    assert modules == files
