"""One's own pictures under DVC (docs/own-data.md): added, pushed, pulled by another clone, there in copies."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from pipeline.config import load as params
from pipeline.standins import draw
from tests.datasets.drawing import save
from tests.stages.repository import ROOT, commit, make, name_author, run

pytestmark = pytest.mark.slow


def own_sets() -> dict[str, object]:
    """A project whose sets lie in data/real, relative to it."""
    values = params.read(ROOT / "params.yaml")
    values |= {"source": "jaffe", "targets": ["album"]}
    values["data"] |= {"root": "data/real", "sets": ["jaffe"], "folder_sets": ["album"], "max_unreadable": 0.1}
    values["split"]["album"] = {"protocol": "all"}
    values["standins"]["sets"] = []
    return values


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "project"
    make(folder, own_sets())
    draw("jaffe", folder / "data/real/jaffe", 7, 0.03, 1)
    for index in range(2):
        save(folder / f"data/real/album/{index}.png")
    commit(folder)
    return folder


def test_added_pushed_pulled_and_used_in_queued_experiments(project: Path, tmp_path: Path) -> None:
    sets = ("data/real/jaffe", "data/real/album")
    assert f"will not find {', '.join(sets)}: dvc add {' '.join(sets)}" in run(project, "pocan", "check")
    run(project, "dvc", "add", *sets)
    commit(project)
    assert run(project, "git", "ls-files", "data").split() == [f"{name}.dvc" for name in sorted(sets)]
    assert "will not find" not in run(project, "pocan", "check")
    run(project, "dvc", "remote", "add", "--default", "pictures", str(tmp_path / "remote"))
    commit(project)
    assert "files pushed" in run(project, "dvc", "push", *sets)

    clone = tmp_path / "clone"
    run(tmp_path, "git", "clone", "--quiet", str(project), str(clone))
    name_author(clone)
    shutil.rmtree(project / ".dvc/cache")  # what the clone has, it has from the remote
    run(clone, "dvc", "pull", *sets)
    for name in sets:
        there = {path.name: path.read_bytes() for path in (project / name).rglob("*") if path.is_file()}
        assert {path.name: path.read_bytes() for path in (clone / name).rglob("*") if path.is_file()} == there != {}

    options = ("--queue", "--name", "wide", "--set-param", "faces.margin=0.1", "faces@jaffe")
    run(clone, "dvc", "exp", "run", *options)
    run(clone, "dvc", "queue", "start")
    deadline = time.monotonic() + 300
    # DVC writes the reference of an experiment that has succeeded; git tells of it at once.
    while not run(clone, "git", "for-each-ref", "refs/exps/**/wide"):
        status = run(clone, "dvc", "queue", "status") if time.monotonic() > deadline else ""
        assert not status, status + run(clone, "dvc", "queue", "logs", "wide")
        time.sleep(0.5)
    assert run(clone, "git", "status", "--porcelain") == ""
    run(clone, "dvc", "exp", "branch", "wide", "result")
    run(clone, "dvc", "get", ".", "data/faces/jaffe.json", "--rev", "result", "--out", "found.json")
    assert json.loads((clone / "found.json").read_text())["crops"] == 28


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("data/real.dvc", False),
        ("data/real/rafdb.dvc", False),
        ("data/weights/resnet50.pkl.dvc", False),
        ("data/weights/resnet50.pkl", True),
        ("data/real/rafdb/1.jpg", True),
        ("data/real/rafdb/1.dvc", True),
        ("data/real/1.jpg", True),
        ("data/1.jpg", True),
        ("data/crops/rafdb/crops.npy", True),
        ("data/.in-progress/crops/rafdb/1.npz", True),
    ],
)
def test_git_is_given_no_pictures(project: Path, path: str, ignored: bool) -> None:
    answer = subprocess.run(["git", "check-ignore", "--quiet", "--no-index", path], cwd=project, check=False)
    assert (answer.returncode == 0) is ignored


def test_a_link_to_another_disk_is_ignored(project: Path, tmp_path: Path) -> None:
    (project / "data/elsewhere").symlink_to(tmp_path)
    try:
        assert run(project, "git", "status", "--porcelain", "--untracked-files=all") == ""
    finally:
        (project / "data/elsewhere").unlink()
