"""Registries: a line that names what is not there ends with one message, which says where the line is."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

import pipeline
from pipeline import validators
from pipeline.command_line import report_errors
from pipeline.config.methods import METHODS, AdaptParams
from pipeline.config.methods.pocan import PocanParams
from pipeline.errors import PipelineError
from pipeline.methods import implementation
from pipeline.networks.trained import _kind
from pipeline.registry import Registry
from tests.tasks import ADAPT


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package ``pipeline.toys`` with one module, ``shades``, that has one class."""
    folder = tmp_path / "toys"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "shades.py").write_text("class Shades: ...\n")
    monkeypatch.setattr(pipeline, "__path__", [*pipeline.__path__, str(tmp_path)])
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith("pipeline.toys"):
            del sys.modules[name]
    vars(pipeline).pop("toys", None)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("pipeline.toys.shaeds:Shades", "there is no module pipeline.toys.shaeds"),
        ("pipeline.tois.shades:Shades", "there is no module pipeline.tois"),
        ("pipeline.toys.shades:Shaeds", "pipeline.toys.shades has no 'Shaeds' (did you mean 'Shades'?)"),
        ("pipeline.toys.shades.Shades", "there is no module pipeline.toys.shades.Shades"),
        ("pipeline.toys.shades:", "pipeline.toys.shades has no ''"),
    ],
)
@pytest.mark.usefixtures("toys")
def test_a_wrong_line_is_named_by_file_and_name(entry: str, told: str) -> None:
    registry: Registry[Any] = Registry("toy", {"shades": entry}, "pipeline.toys")
    with pytest.raises(PipelineError) as error:
        registry["shades"]
    assert str(error.value) == f"pipeline/toys/__init__.py, toy 'shades': {told}; correct {entry!r} there"


def test_a_fault_within_the_module_keeps_its_traceback(toys: Path) -> None:
    registry: Registry[Any] = Registry("toy", {"shades": "pipeline.toys.shades:Shades"}, "pipeline.toys")
    (toys / "shades.py").write_text("import no_such_package\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        registry["shades"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("from pipeline.toys.shades import Shaeds", "cannot import name 'Shaeds' from 'pipeline.toys.shades'"),
        ("from pipeline.toys.shaeds import Shades", "No module named 'pipeline.toys.shaeds'"),
    ],
)
def test_a_wrong_import_of_a_registry_is_one_message(
    toys: Path, line: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (toys / "__init__.py").write_text(f'"""Toys."""\n\n{line}\n')
    with pytest.raises(typer.Exit) as ended:
        report_errors(import_module)("pipeline.toys")
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == f"error: pipeline/toys/__init__.py, line 3: {told}; correct the line\n"


def test_an_import_that_fails_elsewhere_keeps_its_traceback(toys: Path) -> None:
    (toys / "shades.py").write_text("import no_such_package\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        report_errors(import_module)("pipeline.toys.shades")


def test_a_methods_wrong_class_is_named_by_the_module_of_its_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PocanParams, "implementation", "pipeline.methods.pocan:Pocann")
    with pytest.raises(
        PipelineError, match=r"^pipeline/config/methods/pocan\.py, PocanParams\.implementation: .*Pocann"
    ):
        implementation(PocanParams.model_validate(ADAPT.model_dump()))
    monkeypatch.setattr(AdaptParams, "classifier", "pipeline.networks.netwrok:PrototypeClassifier")
    assert "classifier" not in vars(METHODS["pocan"])
    with pytest.raises(PipelineError, match=r"^pipeline/config/methods/base\.py, AdaptParams\.classifier: .*netwrok"):
        _kind({"adapt": {"method": "pocan"}})


def test_a_validators_wrong_function_is_named_by_its_module() -> None:
    with pytest.raises(PipelineError) as error:
        validators._measure("measures:informatoin")
    assert str(error.value) == (
        "pipeline/validators/__init__.py: pipeline.validators.measures has no 'informatoin' "
        "(did you mean 'information'?); correct 'pipeline.validators.measures:informatoin' there"
    )
