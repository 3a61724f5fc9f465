"""How a stage or command runs: once at a time in one project, with its errors as one message."""

import errno
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from pipeline.command_line import report_errors

ROOT = Path(__file__).parents[1]
STAGE = """
import sys
from pipeline.command_line import run

def main(dataset: str) -> None:
    print("at work", flush=True)
    sys.stdin.readline()

run(main)
"""


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """The stage ``draw`` in ``folder``; it ends with a line on its standard input."""
    clean = {key: value for key, value in os.environ.items() if key not in ("DVC_STAGE", "LOCAL_RANK")}
    return subprocess.Popen(
        [sys.executable, str(folder / "draw.py"), *arguments],
        cwd=folder,
        env=clean | {"PYTHONPATH": str(ROOT)} | environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "draw.py").write_text(STAGE)
    return tmp_path


def test_a_stage_runs_once_at_a_time_and_says_who_runs_it(project: Path) -> None:
    with start(project, "ckplus") as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "at work\n"
        with start(project, DVC_STAGE="draw@ckplus") as second:
            printed, error = second.communicate("\n", timeout=60)
        assert (second.returncode, printed) == (1, "")
        assert error.startswith(f"error: {project / 'draw@ckplus'}: process {first.pid} (since ")
        assert f"draw.py ckplus) is using it; wait for it, or end it (kill {first.pid}" in error
        first.kill()
    with start(project, "ckplus") as third:
        assert third.communicate("\n", timeout=60)[0] == "at work\n"
    assert third.returncode == 0


@pytest.mark.skipif(os.name == "nt", reason="a shell's way to close them")
def test_closed_streams_are_like_empty_ones(project: Path) -> None:
    run = f"{shlex.quote(sys.executable)} draw.py ckplus"
    for closed, printed in (("2>&- < /dev/null", "at work\n"), ("<&- 2>&1", "at work\n"), ("< /dev/null >&- 2>&-", "")):
        done = subprocess.run(
            f"{run} {closed}", shell=True, cwd=project, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True
        )
        assert (done.returncode, done.stdout.decode()) == (0, printed)


def test_dvc_is_not_let_into_a_folder_in_which_it_fails(project: Path) -> None:
    folder = project / "fer {x}"
    folder.mkdir()
    (project / "draw.py").rename(folder / "draw.py")
    with start(folder, DVC_STAGE="draw@ckplus") as stage:
        printed, error = stage.communicate("\n", timeout=60)
    assert (stage.returncode, printed) == (1, "")
    assert error == f"error: {folder}: DVC fails in folders whose path has {{ or }}; move or rename the folder\n"
    with start(folder, "ckplus") as stage:  # without DVC
        assert stage.communicate("\n", timeout=60)[0] == "at work\n"


def test_stages_of_other_sets_and_processes_of_one_team_run_side_by_side(project: Path) -> None:
    with start(project, "ckplus") as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "at work\n"
        for arguments, environment in ((("jaffe",), {}), (("ckplus",), {"LOCAL_RANK": "1"})):
            with start(project, *arguments, **environment) as other:
                assert other.communicate("\n", timeout=60)[0] == "at work\n"
            assert other.returncode == 0
        first.communicate("\n", timeout=60)
    assert first.returncode == 0


@pytest.mark.slow
def test_hints_about_what_parameters_decide_are_not_shown(project: Path) -> None:
    hint = "from lightning_fabric.utilities.rank_zero import rank_zero_info; rank_zero_info('use another precision')"
    (project / "draw.py").write_text(STAGE.replace("    print", f"    {hint}\n    print"))
    with start(project, "ckplus") as stage:
        assert stage.communicate("\n", timeout=60) == ("at work\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("arguments", [["--help"], ["ckplus"]])
def test_what_nobody_can_take_is_one_message(project: Path, arguments: list[str]) -> None:
    own = [sys.executable, str(project / "draw.py"), *arguments]
    of_pocan = [sys.executable, "-c", "from pocan.cli import app; app()", "predict", "--help"]
    for command in (own, of_pocan, of_pocan[:3], [*of_pocan[:3], "--version"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                command,
                cwd=project,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
            )
        assert done.returncode == 1
        assert done.stderr.startswith("error: a file or the standard output: cannot be written (No space left on dev")
        assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="its Ctrl-C is no signal")
def test_ctrl_c_while_a_stage_loads_its_libraries_is_one_line(project: Path) -> None:
    (project / "stages").mkdir()
    (project / "stages/__init__.py").write_text((ROOT / "stages/__init__.py").read_text())
    (project / "stages/slow.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen(
        [sys.executable, "-m", "stages.slow"], cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as stage:
        assert stage.stdout is not None
        assert stage.stdout.readline() == "loading\n"
        stage.send_signal(signal.SIGINT)
        assert stage.communicate(timeout=60) == ("", "interrupted\n")
    assert stage.returncode == -signal.SIGINT  # 130 in a shell


def test_of_a_refused_rename_the_name_that_could_not_be_written_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    refused = PermissionError(errno.EACCES, os.strerror(errno.EACCES), "made.part", None, "models/mine")

    @report_errors
    def command() -> None:
        raise refused

    with pytest.raises(typer.Exit) as ended:
        command()
    assert ended.value.exit_code == 1
    told = capsys.readouterr().err
    assert told.startswith("error: models/mine: cannot be read or written (Permission denied). ")
    assert "made.part" not in told


@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        (("summary",), "pipeline.command_line"),  # the command is being loaded
        (("summary", "--help"), "typer.rich_utils"),  # its help page is being made
        (("summary",), "pipeline.config.load"),  # it runs
    ],
)
def test_ctrl_c_is_one_line_at_any_moment(arguments: tuple[str, ...], module: str) -> None:
    program = f"""
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from pocan.__main__ import main
main()
"""
    answer = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert (answer.returncode, answer.stderr) == (130, "interrupted\n")


def test_ctrl_c_while_the_program_ends_is_no_traceback() -> None:
    program = """
import atexit, os, signal
from pocan.__main__ import main

atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))
main()
"""
    answer = subprocess.run(
        [sys.executable, "-c", program, "--version"], capture_output=True, text=True, timeout=120, check=False
    )
    assert (answer.returncode, answer.stderr) == (-signal.SIGINT, "")  # 130 in a shell
    assert answer.stdout.startswith("pocan ")
