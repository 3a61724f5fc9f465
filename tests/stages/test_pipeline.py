"""The whole pipeline at tiny scale in a clone: dvc repro, its results as the baseline, experiments, the way back."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import yaml
from mlflow.entities import Run
from PIL import Image
from typer.testing import CliRunner

from pipeline.config import load as params
from pipeline.config.methods import METHODS
from pipeline.data.crops import DIGESTED, CropStore, digest
from pipeline.errors import ParamsError
from pipeline.labels import EXPRESSIONS
from pocan.cli import app
from stages import adapt
from tests.stages.repository import RAN, ROOT, commit, make, name_author, run, tiny

pytestmark = pytest.mark.slow

DRAWN = ("fer2013", "jaffe")
TARGETS = (*DRAWN, "album")  # album: a folder of pictures without labels
KEEP, TRY, RETURN = re.findall(r'@echo "  (.+?) +# ', (ROOT / "Makefile").read_text())
"""The three commands that `make demo` ends with: commit the results, try an experiment beside them, go back."""


def parameters() -> dict[str, Any]:
    """Tiny parameters for these targets."""
    values = tiny()
    values["targets"] = list(TARGETS)
    values["data"] |= {"sets": ["rafdb", *DRAWN], "folder_sets": ["album"]}
    values["standins"]["sets"] = ["rafdb", *DRAWN]
    values["split"]["album"] = {"protocol": "all"}
    values["data"]["max_unreadable"] = 0.1  # the album has one broken picture
    return values


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of a repository with this code and tiny parameters, after ``dvc repro`` and the commit of its results."""
    folder = tmp_path_factory.mktemp("repository")
    origin, clone = folder / "origin", folder / "project"
    make(origin, parameters())
    commit(origin)
    run(folder, "git", "clone", "--quiet", str(origin), str(clone))
    name_author(clone)
    album = clone / "data/standins/album/summer"
    album.mkdir(parents=True)
    portrait = Image.open(ROOT / "tests/data/astronaut.png").convert("RGB")
    for index in range(12):
        portrait.rotate(3 * index - 18).save(album / f"{index}.jpg")
    (album / "broken.jpg").write_bytes(b"")
    (folder / "repro.log").write_text(run(clone, "dvc", "repro"))
    run(clone, "bash", "-euc", KEEP)
    return clone


def tracked(folder: Path) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")


def runs_where(folder: Path, condition: str = "") -> list[Run]:
    """The MLflow runs of the project of which the condition is true."""
    client = tracked(folder)
    experiment = client.get_experiment_by_name("pocan")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], condition, max_results=100))


def test_every_stage_ran_once_and_nothing_is_left_to_do(project: Path) -> None:
    ran = RAN.findall((project.parent / "repro.log").read_text())
    per_set = [f"{stage}@{name}" for name in TARGETS for stage in ("split", "features", "adapt", "evaluate")]
    per_set += [f"{stage}@{name}" for name in DRAWN for stage in ("standins", "faces")]
    source = [
        "standins@rafdb",
        "faces@rafdb",
        "faces-folder@album",
        "split-source@rafdb",
        "pretrain",
        "prototypes",
        "features-source@rafdb",
        "report",
        "faces-report",
    ]
    assert sorted(ran) == sorted(per_set + source)
    assert RAN.findall(run(project, "dvc", "repro")) == []
    assert run(project, "git", "status", "--porcelain") == ""


def test_outputs_are_complete(project: Path) -> None:
    for name in ("rafdb", *DRAWN):
        store = CropStore.open(project / "data/crops" / name)
        assert len(store.images) >= 20
        assert store.description["provenance"] == "stand-in"
    for target in DRAWN:
        metrics = json.loads((project / f"reports/evaluate/{target}/metrics.json").read_text())
        assert 0.0 <= metrics["accuracy_low"] <= metrics["accuracy"] <= metrics["accuracy_high"] <= 1.0
        assert metrics["oracle"]["accuracy"] >= max(metrics["accuracy"], metrics["dt"]["accuracy"])
        store = CropStore.open(project / "data/crops" / target)
        predictions = pd.read_csv(project / f"data/predictions/{target}.csv")
        assert len(predictions) == len(store.images)
        assert set(predictions["expression"]) <= set(EXPRESSIONS)
        assert predictions.filter(like="p_").sum(axis=1).to_numpy() == pytest.approx(1.0, abs=1e-4)
        description = json.loads((project / f"models/adapted/{target}" / "model.json").read_text())
        assert description["target"]["name"] == target
        assert description["adapt"]["tau"] == 0.7
        curve = pd.read_csv(project / f"reports/curves/adapt-{target}.csv")
        assert curve["epoch"].tolist() == [1, 2]
        epochs = pd.read_parquet(project / f"data/epochs/{target}.parquet")
        assert list(epochs) == ["epoch_0", "epoch_1", "epoch_2"]
        assert len(epochs) == metrics["n_test"]
    assert not list((project / "models/.checkpoints").glob("*.pt"))


def test_a_folder_without_labels_gets_predictions_and_no_score(project: Path) -> None:
    assert json.loads((project / "reports/evaluate/album/metrics.json").read_text()) == {"n_test": 0}
    predictions = pd.read_csv(project / "data/predictions/album.csv")
    assert predictions["picture"].tolist() == sorted(f"summer/{index}.jpg" for index in range(12))
    faces = json.loads((project / "data/faces/album.json").read_text())
    assert (faces["pictures"], faces["crops"], faces["unreadable"]) == (13, 12, 1)
    assert "broken.jpg" in (project / "data/crops/album/faces.json").read_text()
    assert "no labels" in (project / "reports/tables.md").read_text()


def test_the_faces_are_reported_and_their_pictures_kept_out_of_git(project: Path) -> None:
    report = (project / "reports/faces.md").read_text()
    assert "`summer/broken.jpg`" in report
    sheets = project / "reports/contact-sheets"
    assert {f"{name}.png" for name in ("rafdb", *TARGETS)} <= {path.name for path in sheets.iterdir()}
    assert "reports/faces.md" in run(project, "git", "ls-files")
    assert "contact-sheets" not in run(project, "git", "ls-files")


def test_the_report_marks_every_number_as_drawn_and_links_its_figures(project: Path) -> None:
    text = (project / "reports/tables.md").read_text()
    measured = [line for line in text.splitlines() if line.startswith("|") and "(measured)" in line.split("|")[1]]
    scored = [line for line in measured if "no labels" not in line]
    assert len(scored) >= 4
    for line in scored:
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        assert all("◊" in cell for cell in cells if re.search(r"\d\.\d", cell)), line
        assert any(re.search(r"\d\.\d ◊", cell) for cell in cells), line
    figures = re.findall(r"\((figures/[^)]+\.png)\)", text)
    assert len(figures) >= 6
    for figure in figures:
        assert (project / "reports" / figure).read_bytes().startswith(b"\x89PNG")


def test_dvc_shows_metrics_and_plots(project: Path) -> None:
    shown = json.loads(run(project, "dvc", "metrics", "show", "--json"))
    files = {Path(name).name: metrics["data"] for name, metrics in shown[""]["data"].items()}
    assert set(files) == {"metrics.json", "source.json"}
    assert set(files["source.json"]) == {"source"}
    metrics = files["metrics.json"]
    result = json.loads((project / "reports/evaluate/jaffe/metrics.json").read_text())
    assert metrics["accuracy"]["jaffe"] == pytest.approx(100 * result["accuracy"], abs=1e-3)
    expected = {
        name: {*DRAWN, "mean"}
        for name in ("accuracy", "gain", "gain_low", "gain_high", "balanced", "balanced_gain", "f1")
    }
    assert {name: set(values) for name, values in metrics.items()} == expected
    page = run(project, "dvc", "plots", "show", "--out", str(project.parent / "plots"))
    html = (project.parent / "plots/index.html").read_text()
    assert "index.html" in page
    titles = {"Stage 1, loss on the source", "Confusion on jaffe", "F1 by expression on fer2013", "by epoch of"}
    for title in titles | {"Stage 2 on jaffe, mutual information"}:
        assert title in html


def test_mlflow_has_the_execution_from_top_to_bottom(project: Path) -> None:
    runs = runs_where(project)
    names = {run.info.run_name for run in runs if "mlflow.parentRunId" in run.data.tags}
    expected = {f"{stage}@{target}" for stage in ("adapt", "evaluate") for target in TARGETS}
    assert names == {"pretrain", "prototypes", *expected}
    (group,) = {run.data.tags["pocan.group"] for run in runs}
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert parent.info.run_name == group
    assert group.startswith("repro 2")
    metrics = json.loads((project / "reports/evaluate/jaffe/metrics.json").read_text())
    assert parent.data.metrics["jaffe.accuracy_percent"] == pytest.approx(100 * metrics["accuracy"])
    gains = [parent.data.metrics[f"{target}.gain_points"] for target in DRAWN]
    assert parent.data.metrics["gain_points"] == pytest.approx(sum(gains) / len(gains))
    by_name = {run.info.run_name: run for run in runs}
    assert by_name["evaluate@jaffe"].data.metrics["dt.accuracy_percent"] == pytest.approx(
        100 * metrics["dt"]["accuracy"]
    )
    assert not any("accuracy" in key for key in by_name["adapt@jaffe"].data.metrics)  # it knows no label
    assert all(run.data.tags["mlflow.note.content"] for run in runs)
    for name, parts in {"adapt@jaffe": {"source", "target"}, "evaluate@jaffe": {"test"}}.items():
        inputs = by_name[name].inputs
        assert inputs is not None
        assert {one.dataset.name.rpartition("-")[2] for one in inputs.dataset_inputs} == parts
    client = tracked(project)
    for target in TARGETS:
        version = client.get_model_version_by_alias(f"pocan-{target}", "newest")
        assert version.run_id in {run.info.run_id for run in runs}


@pytest.fixture
def workspace(project: Path) -> Iterator[Path]:
    """The project for a test that changes it: afterwards its files are again those of the commit."""
    yield project
    run(project, "git", "checkout", "--force", "HEAD", "--", ".")
    run(project, "dvc", "checkout", "--force", "--quiet")


def pocan(*arguments: str) -> str:
    """What the command printed, run in this process and in the working directory."""
    answer = CliRunner().invoke(app, arguments)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def experiment(folder: Path, *changes: str) -> str:
    """What ``dvc exp run`` with these changes of parameters printed."""
    return run(folder, "dvc", "exp", "run", *(word for change in changes for word in ("-S", change)))


def test_what_the_demo_ends_with_shows_an_experiment_beside_the_first_run_and_leads_back(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in (workspace / "models").rglob("*.safetensors")}
    assert len(before) == 2 + len(TARGETS)
    output = run(workspace, "bash", "-euc", TRY)
    # The temperature is one of stage 2: adaptation, evaluation and report run, nothing before them.
    expected = [f"{stage}@{target}" for stage in ("adapt", "evaluate") for target in TARGETS]
    assert sorted(RAN.findall(output)) == sorted([*expected, "report"])
    # The commit has the first run's numbers on this machine; the experiment's stand below them.
    (name,) = re.findall(r"Ran experiment\(s\): (\S+)", output)
    branch = run(workspace, "git", "branch", "--show-current").strip()
    table = output[output.index("experiment  ") :].partition("\n\n")[0].splitlines()
    assert max(map(len, table)) <= 160
    rows = {line.split()[0]: line for line in table if "◊" in line}
    assert {"workspace", branch, name} <= rows.keys()
    for row in ("workspace", name):
        assert rows[row].endswith("adapt.tau=0.6")
    assert len(re.findall(r"\d ◊", rows[branch])) == len(DRAWN) + 2  # each target's, their mean, and the gain
    runs = runs_where(workspace, f"tags.`dvc.experiment` = '{name}'")
    assert {run.data.params["adapt.tau"] for run in runs if run.data.params} == {"0.6"}
    assert len(runs) == 2 * len(TARGETS) + 1
    result = json.loads((workspace / "reports/evaluate/jaffe/result.json").read_text())
    assert result["experiment"] == name
    assert result["run_id"] in {run.info.run_id for run in runs}
    adapted = workspace / "models/adapted/jaffe/model.safetensors"
    assert adapted.read_bytes() != before[adapted]

    run(workspace, "bash", "-euc", RETURN)

    assert {path: path.read_bytes() for path in (workspace / "models").rglob("*.safetensors")} == before
    assert "up to date" in run(workspace, "dvc", "status")
    assert run(workspace, "git", "status", "--porcelain") == ""
    rows_file = tmp_path / "rows.csv"
    picture = str(ROOT / "tests/data/astronaut.png")
    monkeypatch.chdir(workspace)
    pocan("predict", picture, "--model", "models/adapted/jaffe", "--out", str(rows_file))
    assert pd.read_csv(rows_file)["expression"].isin(EXPRESSIONS).all()


def test_the_summary_has_the_numbers_of_the_tables(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    shown = pocan("summary")
    metrics = json.loads((project / "reports/metrics.json").read_text())
    (mean,) = re.findall(r"^mean +(\S+) ◊ +(\S+) ◊ +(\S+) ◊ +\[(\S+), (\S+)\]$", shown, re.MULTILINE)
    before, after, gain, low, high = (float(number.replace("−", "-")) for number in mean)
    assert low <= gain <= high
    assert max(map(len, shown.splitlines())) <= 80
    assert after == pytest.approx(metrics["accuracy"]["mean"], abs=0.06)
    assert gain == pytest.approx(metrics["gain"]["mean"], abs=0.06)
    assert before == pytest.approx(after - gain, abs=0.11)
    assert "album" not in shown  # it has no labels


def test_another_split_runs_only_that_targets_chain_by_several_devices_and_a_known_label_set_is_kept_to(
    workspace: Path,
) -> None:
    output = experiment(
        workspace, "split.jaffe.test=0.4", "+split.jaffe.classes=[anger,happiness]", "compute.devices=2"
    )
    ran = ["adapt@jaffe", "evaluate@jaffe", "features@jaffe", "report", "split@jaffe"]
    assert sorted(RAN.findall(output)) == ran  # how many devices there are makes no source model anew
    (found,) = runs_where(workspace, "tags.`pocan.processes` = '2'")
    assert (found.info.run_name, found.info.status) == ("adapt@jaffe", "FINISHED")
    for model in ("before", "after"):
        confusion = json.loads((workspace / "reports/evaluate/jaffe/result.json").read_text())[model]["confusion"]
        assert [sum(column) > 0 for column in zip(*confusion, strict=True)].count(True) <= 2
        assert all(not any(column) for column in list(zip(*confusion, strict=True))[1:3])
    assert "§" in (workspace / "reports/tables.md").read_text()


def test_direct_transfer_to_a_target_that_is_chosen_on_the_command_line(workspace: Path) -> None:
    output = experiment(workspace, "adapt.method=dt", "targets=[jaffe]")
    assert sorted(RAN.findall(output)) == ["adapt@jaffe", "evaluate@jaffe", "faces-report", "report"]
    metrics = json.loads((workspace / "reports/evaluate/jaffe/metrics.json").read_text())
    assert metrics["gain"] == 0.0
    assert metrics["accuracy"] == metrics["dt"]["accuracy"]
    assert "POCAN (measured)" not in (workspace / "reports/tables.md").read_text()
    assert {path.stem.rpartition("_")[2] for path in (workspace / "reports/figures").iterdir()} == {"jaffe"}


def test_every_method_goes_from_the_source_model_to_the_tables(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(project, folder, ignore=shutil.ignore_patterns(".dvc", ".git", "mlruns", "standins"))
    values = params.read(folder / "params.yaml")
    values["targets"] = ["jaffe"]
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    script = str(ROOT / "tests/stages/every_method.py")
    output = run(folder, "env", f"PYTHONPATH={folder}", sys.executable, script, "jaffe")
    found = json.loads(output[output.index('{"') :].splitlines()[0])
    assert list(found) == list(METHODS)
    for name, told in found.items():
        assert told["method"] == name
        assert told["scored"]
        assert f"| {METHODS.title(name)} (measured) |" in told["tables"], name


def test_what_is_added_makes_nothing_stale(workspace: Path) -> None:
    """A reader, a backbone, a method with its parameters: each a file of its own, and a line in a registry."""
    for folder in ("datasets", "backbones", "methods", "config/methods"):
        (workspace / "pipeline" / folder / "added.py").write_text('"""New."""\n')
    for registry in ("datasets", "backbones", "config/methods"):
        path = workspace / "pipeline" / registry / "__init__.py"
        path.write_text(f"{path.read_text()}\n# One line more.\n")
    values = params.read(workspace / "params.yaml")
    values["methods"] |= {"added": {"strength": 1.0}, "shot": {"momentum": 0.5}}  # of methods that are not chosen
    (workspace / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    try:
        assert "up to date" in run(workspace, "dvc", "status")
    finally:
        for path in (workspace / "pipeline").rglob("added.py"):
            path.unlink()


@pytest.mark.parametrize("name", ["x; touch PWNED; $(touch PWNED)", "../../evil"])
def test_a_name_from_the_parameters_runs_and_removes_nothing(workspace: Path, name: str) -> None:
    values = params.read(workspace / "params.yaml")
    values["targets"] = [name]
    values["data"]["folder_sets"] = [name]
    values["split"] = {**values["split"], name: {"protocol": "all"}}
    (workspace / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    folder = workspace / "data/standins" / name
    folder.mkdir(parents=True)
    Image.new("RGB", (50, 50)).save(folder / "a.png")
    command = [str(Path(sys.executable).parent / "dvc"), "repro"]
    result = subprocess.run(command, cwd=workspace, capture_output=True, text=True, check=False)
    try:
        assert result.returncode != 0
        # DVC itself refuses the last, which leads two outputs to one place; what it lets through, the stage refuses.
        refused = "is not a valid name: use letters, digits, _ and -" if "evil" not in name else "output 'evil"
        assert refused in result.stdout + result.stderr
        assert "Traceback" not in result.stdout + result.stderr
        assert not list(workspace.rglob("PWNED"))
        assert (folder / "a.png").is_file()
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def without_album(workspace: Path) -> Iterator[Path]:
    """The workspace at a commit whose queue works: copies have no album, which lies in the project untracked."""
    before = run(workspace, "git", "rev-parse", "HEAD").strip()
    values = params.read(workspace / "params.yaml")
    values["data"]["folder_sets"], values["targets"] = [], ["jaffe"]
    del values["split"]["album"]
    (workspace / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    (workspace / "studies").mkdir()
    study: dict[str, Any] = {"title": "Mini", "seeds": [0], "variants": {"SHOT": {"adapt.method": "shot"}}}
    study["variants"] |= {"POCAN": {"adapt.tau": 0.9}}
    study["variants"] |= {"Bad": {"adapt.method": "dann", "adapt.lr": 1e30}}  # fails, and must not stop the others
    (workspace / "studies/mini.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    commit(workspace)
    yield workspace
    run(workspace, "git", "reset", "--quiet", "--hard", before)


def test_a_study_runs_on_the_queue_what_is_missing_and_compares_it(without_album: Path) -> None:
    command = (sys.executable, "-c", "from pocan.cli import app; app()", "study", "mini")
    result = subprocess.run([*command, "--jobs", "2"], cwd=without_album, capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stderr[-3000:]
    assert "1 of 3 experiments failed: mini-bad-0" in result.stderr
    report = (without_album / "reports/studies/mini.md").read_text()
    assert "2 of 3 experiments" in report
    assert "- **failed**: Bad, seed 0 (`mini-bad-0`): " in report
    assert "error: dann: not finite" in report
    table = pd.read_csv(without_album / "reports/studies/mini.csv")
    assert table["variant"].tolist() == ["SHOT", "POCAN"]
    # Side by side, and each with runs of its own.
    shown = run(without_album, "dvc", "exp", "show", "--csv")
    for method in ("shot", "pocan"):
        assert f"mini-{method}-0" in shown
        runs = runs_where(without_album, f"tags.`dvc.experiment` = 'mini-{method}-0'")
        stages = {run.data.tags["pocan.stage"]: run for run in runs}
        assert stages.keys() == {"execution", "adapt", "evaluate"}
        assert {run.info.status for run in runs} == {"FINISHED"}
        assert stages["adapt"].data.params["adapt.method"] == method
        assert stages["adapt"].data.tags["mlflow.parentRunId"] == stages["execution"].info.run_id
    # What is done is not done again. A variant that has become another, with a key that params.yaml lacks, is; what it
    # was, of the same commit, is kept. What was trained for one experiment serves another of the same parameters.
    study = yaml.safe_load((without_album / "studies/mini.yaml").read_text())
    study["variants"] = {"SHOT": {"adapt.method": "shot", "adapt.pseudo": 0.1}, "POCAN": {"adapt.tau": 0.9}}
    study["variants"] |= {"As it was": {"adapt.method": "shot"}}
    (without_album / "studies/mini.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    before = experiments_of(without_album)
    run(without_album, *command, "--jobs", "2")
    assert "3 of 3 experiments" in (without_album / "reports/studies/mini.md").read_text()
    runs = runs_where(without_album, "tags.`dvc.experiment` = 'mini-as-it-was-0'")
    assert {run.data.tags["pocan.stage"] for run in runs} == {"execution", "evaluate"}
    after = experiments_of(without_album)
    assert after["mini-pocan-0"] == before["mini-pocan-0"]
    assert after[f"mini-shot-0-{before['mini-shot-0'][:7]}"] == before["mini-shot-0"]
    assert after["mini-shot-0"] != before["mini-shot-0"]
    assert "mini.md" in run(without_album, *command, "--collect")


def test_a_study_here_adapts_the_projects_source_model_as_its_stages_do(
    without_album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(without_album)
    study = yaml.safe_load((without_album / "studies/mini.yaml").read_text())
    study["variants"] |= {"As it is": {}, "Other source": {"pretrain.tau": 0.3}}
    (without_album / "studies/mini.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    command = (sys.executable, "-c", "from pocan.cli import app; app()", "study", "mini", "--here", "--jobs", "2")
    result = subprocess.run(command, cwd=without_album, capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stderr[-3000:]
    assert "1 of 4 runs failed: mini-bad-0" in result.stderr
    report = (without_album / "reports/studies/mini-here.md").read_text()
    assert "3 of 4 runs" in report
    (logged,) = runs_where(without_album, "tags.`pocan.study` = 'mini'")
    assert logged.info.status == "FINISHED"
    assert {"pocan.accuracy_percent", "shot.balanced_accuracy_percent"} <= logged.data.metrics.keys()
    assert "- **failed**: Bad, seed 0 (`mini-bad-0`): jaffe: dann: not finite" in report
    assert "- left out: Other source, which changes `pretrain`" in report
    # What params.yaml says gives what the pipeline's own stages gave.
    files = {path.stem: path for path in (without_album / "data/studies/mini/source-seed-0/jaffe").iterdir()}
    own = json.loads((without_album / "reports/evaluate/jaffe/result.json").read_text())
    found = json.loads(files["mini-as-it-is-0"].read_text())["result"]
    for key in ("before", "after", "oracle", "tested", "own_share", "kept_epoch", "split", "n_train"):
        assert found[key] == own[key], key
    # The stages use every core, and so add in another order.
    other = json.loads(files["mini-shot-0"].read_text())["result"]
    entropies = [one["unlabelled"]["after"]["entropy"] for one in (found, own, other)]
    assert entropies[0] == pytest.approx(entropies[1], abs=1e-6)
    assert entropies[2] != pytest.approx(entropies[1], abs=1e-6)
    # What is done is not done again.
    times = {name: path.stat().st_mtime_ns for name, path in files.items()}
    files["mini-shot-0"].unlink()
    assert CliRunner().invoke(app, ["study", "mini", "--here"]).exit_code == 1  # in this process
    changed = {name for name, path in files.items() if path.stat().st_mtime_ns != times[name]}
    assert changed == {"mini-shot-0"}
    assert pocan("study", "mini", "--here", "--collect").splitlines()[1] == "reports/studies/mini-here.md"
    values = params.read(without_album / "params.yaml")
    values["pretrain"]["tau"] = 0.4
    (without_album / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    answer = CliRunner().invoke(app, ["study", "mini", "--here"])
    assert "models/prototypes: made with another section pretrain than params.yaml has: dvc repro" in answer.output


def experiments_of(folder: Path) -> dict[str, str]:
    """The commits that DVC keeps of experiments, by their names."""
    listed = run(folder, "git", "for-each-ref", "--format=%(refname) %(objectname)", "refs/exps").splitlines()
    return {reference.rpartition("/")[2]: commit for reference, commit in map(str.split, listed)}


def test_a_clone_with_the_cache_has_nothing_to_do(project: Path, tmp_path: Path) -> None:
    """What DVC compares must not depend on the checkout: no compiled files, no times, no paths."""
    clone = tmp_path / "clone"
    run(tmp_path, "git", "clone", "--quiet", str(project), str(clone))
    run(clone, "git", "checkout", "--quiet", "HEAD")
    shutil.copytree(project / "data/standins/album", clone / "data/standins/album")
    run(clone, "dvc", "cache", "dir", "--local", str(project / ".dvc/cache"))
    run(clone, "dvc", "checkout", "--force")
    assert "up to date" in run(clone, "dvc", "status")


def test_a_wrong_parameter_is_told_by_name_and_nothing_is_lost(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (project / "models/pretrained/model.safetensors").read_bytes()
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("beta: null", "beta: -2.0"))
    monkeypatch.chdir(project)
    try:
        with pytest.raises(ParamsError, match=r"adapt\.beta: input should be greater than or equal to 0, found -2\.0"):
            adapt.main("jaffe")
    finally:
        (project / "params.yaml").write_text(text)
    assert (project / "models/pretrained/model.safetensors").read_bytes() == before


def test_target_labels_do_not_reach_adaptation(project: Path, tmp_path: Path) -> None:
    """With every target label replaced, adaptation ends with the same bytes."""
    copy = tmp_path / "copy"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("mlflow.db", "mlruns", ".git"))
    weights = copy / "models/adapted/fer2013/model.safetensors"
    before = weights.read_bytes()
    for name in ("manifest", "samples"):
        path = copy / f"data/crops/fer2013/{name}.parquet"
        table = pd.read_parquet(path)
        assert table["label"].nunique() == 7
        table["label"] = 3
        path.unlink()  # a link into DVC's cache must not be written through
        table.astype({"label": "Int8"}).to_parquet(path, index=False)
    described = copy / "data/crops/fer2013/store.json"
    changed = json.loads(described.read_text()) | {"digest": digest(described.with_name(name) for name in DIGESTED)}
    described.unlink()
    described.write_text(json.dumps(changed))
    weights.unlink()
    # The features anew, too: of pictures whose description is another one now.
    stages = "from stages import adapt, features; features.main('fer2013'); adapt.main('fer2013')"
    run(copy, sys.executable, "-c", stages)
    assert weights.read_bytes() == before
