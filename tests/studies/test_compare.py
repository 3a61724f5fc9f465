"""Experiments side by side: what is shown of rows as ``dvc.api.exp_show`` returns them."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.studies.compare import WIDTH, compare, table
from tests.stages.repository import run


def row(
    name: str | None = None, rev: str = "main", typ: str = "baseline", accuracy: float | None = 80.0, **changed: Any
) -> dict[str, Any]:
    found: dict[str, Any] = {"Experiment": name, "rev": rev, "typ": typ, "State": None, "source.provenance": "real"}
    if accuracy is not None:
        found |= {"accuracy.jaffe": accuracy, "accuracy.mean": accuracy, "gain.mean": accuracy - 80.0}
    found |= {"seed": 0.0, "source": "rafdb", "standins.sets": "[]", "adapt.tau": 0.7, "adapt.lr": None}
    return found | {key.replace("__", "."): value for key, value in changed.items()}


def lines_of(*rows: dict[str, Any], width: int = WIDTH) -> list[str]:
    return table(rows, width).splitlines()


def test_an_experiment_stands_below_its_commit_with_what_differs() -> None:
    warmer = row("warmer", "abc", "branch_base", 77.5, adapt__tau=0.6, adapt__lr=1e-4)
    lines = lines_of(row(rev="workspace"), row(), warmer)
    assert lines[:3] == [
        "experiment  jaffe  mean  gain  parameters that differ",
        "main         80.0  80.0   0.0",
        "  warmer     77.5  77.5  −2.5  adapt.tau=0.6, adapt.lr=0.0001",
    ]
    assert "◊" not in "".join(lines)


def test_the_gain_has_its_interval_where_it_is_known() -> None:
    known = {"gain_low__mean": -4.04, "gain_high__mean": 1.0}
    lines = lines_of(row(rev="workspace"), row(), row("warmer", "abc", "branch_base", 77.5, adapt__tau=0.6, **known))
    assert [line.rstrip() for line in lines[:3]] == [
        "experiment  jaffe  mean               gain  parameters that differ",
        "main         80.0  80.0                0.0",
        "  warmer     77.5  77.5  −2.5 [−4.0, +1.0]  adapt.tau=0.6",
    ]


@pytest.mark.parametrize("low", [None, -4.0])
def test_of_an_older_experiment_the_interval_may_not_be_known(low: float | None) -> None:
    older = row("older", "abc", "branch_base", 77.5, gain_low__mean=low, gain_high__mean=None)
    assert lines_of(row(rev="workspace"), row(), older)[2] == "  older      77.5  77.5  −2.5"


def test_a_workspace_that_has_changed_has_a_row() -> None:
    lines = lines_of(row(rev="workspace", adapt__tau=0.9), row())
    assert lines[1] == "workspace    80.0  80.0   0.0  adapt.tau=0.9"


def test_each_experiment_is_compared_with_its_own_commit() -> None:
    older, of_older = row(rev="old", seed=1.0), row("later", "def", "branch_base", seed=1.0, adapt__tau=0.5)
    lines = lines_of(row(rev="workspace"), row(), older, of_older)
    assert lines[3].endswith("  adapt.tau=0.5")


@pytest.mark.parametrize("drawn", [{"source__provenance": "stand-in"}, {"standins__sets": "['jaffe']"}])
def test_numbers_on_drawn_faces_are_marked(drawn: dict[str, Any]) -> None:
    lines = lines_of(row(rev="workspace", **drawn), row(**drawn))
    assert lines[1] == "main        80.0 ◊  80.0 ◊  0.0 ◊"
    assert lines[-1].startswith("◊ Measured on drawn stand-ins")


def test_a_commit_without_results_is_told_with_what_to_do() -> None:
    text = table([row(rev="workspace"), row(accuracy=None)])
    assert "main            –     –     –" in text
    assert "note: main has no results of its own" in text
    assert "git add dvc.lock reports && git commit" in text.replace("\n", " ")
    assert max(map(len, text.splitlines())) <= WIDTH


def test_what_has_no_numbers_yet_shows_its_state() -> None:
    queued = row("next", "fed", "branch_base", None, State="Queued", seed=2.0)
    killed = row("other", "abc", "branch_base", State="Failed")  # with the numbers of the commit that it started from
    lines = lines_of(row(rev="workspace"), row(), queued, killed)
    assert lines[2] == "  next          –  Queued     –  seed=2"
    assert lines[3] == "  other         –  Failed     –"


def test_no_line_is_wider_than_asked_for() -> None:
    many: dict[str, Any] = {f"accuracy__{name}set": 50.0 for name in "abcdefghijklmnopq"}
    long: dict[str, Any] = {f"methods__pocan__a_long_parameter_{number}": float(number) for number in range(9)}
    one = row("one", "abc", "branch_base", **many, **long)
    lines = lines_of(row(rev="workspace", **many), row(**many), one, width=110)
    assert max(map(len, lines[:-2])) <= 110
    assert lines[0].split()[:3] == ["experiment", "mean", "gain"]
    text = " ".join(lines)
    assert all(f"a_long_parameter_{number}={number}" in text for number in range(9))


def test_a_folder_outside_of_a_project_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PipelineError, match="experiments cannot be compared"):
        compare()


def test_a_repository_that_git_refuses_is_told_in_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, "git", "init", "--quiet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(PipelineError, match=r"cannot be compared: git log: (?s:.)*git config --global --add safe"):
        compare()
