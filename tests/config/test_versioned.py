"""Inputs that experiments in copies of the project would not find."""

import subprocess
from pathlib import Path

import pytest

from pipeline.config.load import load
from pipeline.config.versioned import unversioned

PAPER = Path(__file__).parents[2] / "params/paper.yaml"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)
    (tmp_path / "data/real").mkdir(parents=True)
    return tmp_path


def test_each_way_of_being_known(repository: Path) -> None:
    params = load(PAPER, ["data.sets=[rafdb, ckplus, jaffe, oulu, fer2013, sfew]"])
    weights = "data/weights/resnet50_ft_weight.pkl"
    names = ("rafdb", "ckplus", "jaffe", "oulu", "fer2013", "sfew")
    assert unversioned(params) == [*(f"data/real/{name}" for name in names), weights]
    Path("data/real/rafdb.dvc").touch()
    Path("data/real/ckplus").mkdir()
    Path("data/real/ckplus/a.png").touch()
    subprocess.run(["git", "add", "data/real/ckplus"], check=True)
    assert unversioned(params) == [*(f"data/real/{name}" for name in names[2:]), weights]
    Path("data/real.dvc").touch()
    assert unversioned(params) == [weights]
    assert unversioned(load(PAPER, [f"data.root={repository}"])) == [weights]


@pytest.mark.usefixtures("repository")
def test_drawn_sets_are_drawn_in_copies_too() -> None:
    assert unversioned(load(PAPER.parents[1] / "params.yaml")) == []


def test_outside_of_git_there_are_no_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert unversioned(load(PAPER)) == []
