"""The ``pocan`` command and the report stage."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pocan.cli import app
from tests.reporting.made_results import result, write

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with one target's results, as the working directory."""
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("targets:"))
    (tmp_path / "params.yaml").write_text(text.replace(line, "targets: [jaffe]"), encoding="utf-8")
    (tmp_path / "params").mkdir()
    (tmp_path / "params/paper.yaml").write_text((ROOT / "params/paper.yaml").read_text(encoding="utf-8"))
    write(tmp_path, result("jaffe"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_report_writes_and_names_the_files(project: Path) -> None:
    answer = CliRunner().invoke(app, ["report"])
    assert answer.exit_code == 0, answer.output
    assert answer.stdout.splitlines() == [
        "reports/tables.md",
        "reports/metrics.json",
        "reports/figures/fig2b_jaffe.png",
        "reports/figures/confusion_jaffe.png",
        "reports/figures/reliability_jaffe.png",
        "reports/figures/fig3_jaffe.png",
        "reports/figures/training_jaffe.png",
        "reports/index.html",
    ]
    assert all((project / line).stat().st_size > 0 for line in answer.stdout.splitlines())


def test_report_without_results_is_one_message(project: Path) -> None:
    (project / "reports/evaluate/jaffe/result.json").unlink()
    answer = CliRunner().invoke(app, ["report"])
    assert answer.exit_code == 1
    assert answer.stderr == "error: reports/evaluate/jaffe/result.json: missing; run dvc repro evaluate@jaffe\n"


@pytest.mark.slow
def test_stage_does_what_the_command_does(project: Path) -> None:
    assert CliRunner().invoke(app, ["report"]).exit_code == 0
    first = (project / "reports/tables.md").read_bytes()
    (project / "reports/tables.md").unlink()
    for folder in (project / "reports/evaluate").iterdir():
        (folder / "metrics.json").write_text('{"accuracy": 0.5}')
    subprocess.run([sys.executable, "-m", "stages.report"], cwd=project, env={"PYTHONPATH": str(ROOT)}, check=True)
    assert (project / "reports/tables.md").read_bytes() == first


@pytest.mark.usefixtures("project")
def test_check_says_ok() -> None:
    answer = CliRunner().invoke(app, ["check"])
    assert (answer.exit_code, answer.output) == (0, "ok\n")


def test_check_wants_every_set_that_is_listed(project: Path) -> None:
    text = (project / "params.yaml").read_text(encoding="utf-8")
    text = text.replace("sets: [rafdb, ckplus,", "sets: [ckplus48, ckplus,", 1)
    text = text.replace("source: rafdb", "source: ckplus48").replace("folder_sets: []", "folder_sets: [album]")
    (project / "params.yaml").write_text(text)
    answer = CliRunner().invoke(app, ["check"])
    assert answer.exit_code == 1
    told = "no such folder; unpack ckplus48 there, set data.root, or leave it out of data.sets and source"
    assert f"data/standins/ckplus48: {told}\n" in answer.stderr
    assert "data/standins/album: no such folder" in answer.stderr
    assert "leave it out of data.folder_sets\n" in answer.stderr


def test_check_names_every_fault(project: Path) -> None:
    text = (project / "params.yaml").read_text(encoding="utf-8")
    faulty = project / "faulty.yaml"
    faulty.write_text(text.replace("seed: 0\n", "sed: 0\n", 1).replace("max_unreadable: 0.02", "max_unreadable: 2.0"))
    answer = CliRunner().invoke(app, ["check", "faulty.yaml"])
    assert answer.exit_code == 1
    assert answer.stderr.startswith("error: faulty.yaml:\n")
    for key in ("seed: missing", "sed: unknown key (did you mean 'seed'?)", "data.max_unreadable:"):
        assert f"\n  {key}" in answer.stderr
    assert answer.stdout == ""


def test_check_of_a_missing_file() -> None:
    answer = CliRunner().invoke(app, ["check", "nowhere.yaml"])
    assert answer.exit_code == 1
    assert "nowhere.yaml: no such file" in answer.stderr


def test_help_names_the_commands_and_loads_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from pocan.cli import app\n"
        "answer = CliRunner().invoke(app, ['--help'])\n"
        "print(answer.output)\n"
        "print('loaded:', *sorted({'torch', 'mlflow', 'matplotlib', 'sklearn'} & set(sys.modules)))\n"
    )
    output = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "report" in output
    assert "check" in output
    assert output.splitlines()[-1] == "loaded:"
