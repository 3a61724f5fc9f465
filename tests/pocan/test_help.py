"""Help pages: an example of every command, and what its options may be."""

import shlex
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from pipeline.config.methods import METHODS
from pipeline.validators import VALIDATORS
from pocan.cli import app
from pocan.pages import EXAMPLES

ROOT = Path(__file__).parents[2]
GROUP = typer.main.get_command(app)
assert isinstance(GROUP, TyperGroup)
COMMANDS = GROUP.commands


def page(command: str) -> str:
    answer = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "300"})
    assert answer.exit_code == 0, answer.output
    return answer.stdout


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_an_example_that_it_takes(command: str) -> None:
    assert f"Example: {EXAMPLES[command]}" in page(command)
    program, name, *arguments = shlex.split(EXAMPLES[command])
    assert (program, name) == ("pocan", command)
    found = COMMANDS[command]
    found.make_context(command, arguments)  # parses, and runs nothing


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_nothing_given_is_empty_which_as_a_path_would_be_the_current_folder(command: str) -> None:
    for given, named in (([""], "an argument"), (["--out", ""], "--out"), (["--out="], "--out"), (["-S", ""], "-S")):
        answer = CliRunner().invoke(app, [command, *given], env={"COLUMNS": "300"})
        assert answer.exit_code == 2
        assert f"{named} is empty" in answer.stderr


def test_choices_are_listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    adapt = page("adapt")
    assert all(f"{name}" in adapt.split("--method: ")[1] for name in METHODS)
    assert all(one.name in adapt.split("--choose: ")[1] for one in VALIDATORS)
    assert all(name in page("trials").split("--method: ")[1] for name in METHODS)
    studies = page("study").split("Studies here: ")[1]
    assert all(path.stem in studies for path in (ROOT / "studies").glob("*.yaml"))
    monkeypatch.chdir(tmp_path)
    assert "Studies here: none" in page("study")
