"""A project below the root of its repository: what git keeps of it is found by its place in the project."""

from pathlib import Path
from urllib.parse import quote

import pytest

from pipeline.errors import PipelineError
from pipeline.studies import execute, experiments
from pipeline.tracking import execution
from tests.stages.repository import commit, name_author, run

RESULT = "reports/evaluate/jaffe/result.json"


@pytest.fixture(params=[".", "research/fer", "with space/ü"])
def project(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed project of two files of code, with an experiment ``one`` that has a result; so has the root."""
    folder = tmp_path / str(request.param)
    for place in {tmp_path, folder}:
        (place / "pipeline/parts").mkdir(parents=True)
        (place / "pipeline/parts/a.py").write_text(f"{place == folder}")
        (place / "dvc.yaml").write_text("stages: {}")
        (place / "params.yaml").write_text("seed: 0")
    run(tmp_path, "git", "init", "--quiet")
    name_author(tmp_path)
    commit(tmp_path)
    head = run(tmp_path, "git", "rev-parse", "HEAD").strip()
    (folder / RESULT).parent.mkdir(parents=True)
    (folder / RESULT).write_text("{}")
    commit(tmp_path)
    run(tmp_path, "git", "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/one", "HEAD")
    run(tmp_path, "git", "reset", "--quiet", "--hard", head)
    monkeypatch.chdir(folder)
    experiments.tracked_objects.cache_clear()
    return folder


def test_results_and_code_of_an_experiment_are_found(project: Path) -> None:
    (one,) = experiments.finished()["one"]
    assert one.text(RESULT) == "{}"
    assert one.text("reports/none.json") is None
    code = [Path("pipeline"), Path("pipeline/parts/a.py"), Path("dvc.yaml")]
    assert {path.as_posix() for path in code} <= experiments.tracked_objects(one.commit).keys()
    assert one.has(code)
    (project / "pipeline/parts/a.py").write_text("other")
    commit(project)
    assert not one.has(code)
    assert one.has([Path("dvc.yaml")])


def test_what_is_not_committed_is_named_by_its_place_in_the_project(project: Path) -> None:
    assert experiments.uncommitted() == []
    (project / "params.yaml").write_text("seed: 1")
    (project / "pipeline/b.py").touch()
    assert set(experiments.uncommitted()) == {"params.yaml", "pipeline/b.py"}


@pytest.mark.usefixtures("project")
def test_git_that_refuses_another_owners_repository_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    here = execution.current()
    assert (here.revision, here.dirty) == (None, None)
    assert here.unknown is not None
    assert "detected dubious ownership" in here.unknown
    assert "git config --global --add safe.directory" in here.unknown
    with pytest.raises(PipelineError, match=r"DVC experiments, which need git: (?s:.)*dubious ownership"):
        experiments.finished()


def test_a_study_in_a_shallow_clone_is_refused_before_any_work(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, "git", "commit", "--quiet", "--allow-empty", "--message", "next")
    clone = tmp_path / "clone"
    run(tmp_path, "git", "clone", "--quiet", "--depth", "1", f"file://{quote(str(tmp_path))}", str(clone))
    monkeypatch.chdir(clone / project.relative_to(tmp_path))
    with pytest.raises(PipelineError, match=r"this clone is shallow .*git fetch --unshallow$"):
        execute.begin([], jobs=1)
    run(clone, "git", "fetch", "--quiet", "--unshallow")
    assert execute.begin([], jobs=1) == ([], {})


def test_outside_of_a_repository_nothing_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    here = execution.current()
    assert (here.revision, here.dirty, here.unknown) == (None, None, None)
