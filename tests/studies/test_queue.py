"""DVC's own queue, with a stage of one line: what its workers see, and what is left of them when they are killed."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pipeline.studies import experiments
from tests.stages.repository import run

pytestmark = pytest.mark.slow

STAGE = """\
stages:
  say:
    cmd: echo "$CUDA_VISIBLE_DEVICES" > {folder}/${{name}}.txt && sleep ${{seconds}}
    params: [name, seconds]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose experiments write what they see to ``said/NAME.txt`` and then sleep."""
    folder = tmp_path / "project"
    (folder / "said").mkdir(parents=True)
    (folder / "dvc.yaml").write_text(STAGE.format(folder=folder / "said"))
    (folder / "params.yaml").write_text("name: none\nseconds: 60\n")
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "config", "user.email", "a@b.c")
    run(folder, "git", "config", "user.name", "A")
    run(folder, "dvc", "init", "--quiet")
    run(folder, "dvc", "config", "core.analytics", "false")
    (folder / ".gitignore").write_text("said\n")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "-m", "project")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return folder


def until(true: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < 120
        time.sleep(0.2)


def kill_all_of(folder: Path) -> None:
    """Kill the workers, what they run and what that runs, as the end of a machine does."""
    for process in psutil.process_iter():
        try:
            its = f"{folder}/" in f"{process.cwd()}/" or str(folder) in " ".join(process.cmdline())
            if its and process.pid != os.getpid():
                process.kill()
        except psutil.Error:
            continue


def test_workers_have_gpus_of_their_own_and_what_dies_with_them_is_lost_until_marked_failed(project: Path) -> None:
    for name in ("one", "two"):
        experiments.enqueue(name, [f"name={name}"])
    try:
        experiments.start_workers(2, ["3", "5"])
        until(lambda: all((project / f"said/{name}.txt").is_file() for name in ("one", "two")))
        said = sorted((project / f"said/{name}.txt").read_text().strip() for name in ("one", "two"))
        assert said == ["3", "5"]
        assert experiments.queue() == {"one": "Running", "two": "Running"}
    finally:
        kill_all_of(project)
    assert experiments.queue() == {"one": "Lost", "two": "Lost"}
    experiments.mark_failed(["one"])
    assert experiments.queue() == {"one": "Failed", "two": "Lost"}
    experiments.remove_tasks(["one"])
    experiments.enqueue("one", ["name=again", "seconds=0"])
    assert experiments.queue() == {"one": "Queued", "two": "Lost"}
    experiments.start_workers(1)
    until(lambda: experiments.queue()["one"] == "Success")
    assert (project / "said/again.txt").is_file()
