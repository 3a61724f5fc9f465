"""What is collected from experiments' files, and the report made of it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure

from pipeline.errors import PipelineError
from pipeline.reporting.markdown import KNOWN_NOTE, MARK_NOTE
from pipeline.reporting.study_results import StudyCell, StudyRow, average, load_studies, studies_section
from pipeline.studies import experiments, figures, plan
from pipeline.studies.collect import collect, state_of
from pipeline.studies.report import write_report
from pipeline.studies.summary import paired
from pipeline.tracking.costs import Cost
from tests.reporting.made_results import SPLIT, confusion, metrics, pictures, result
from tests.reporting.test_tables import row, section
from tests.reporting.test_tables import text_of as tables_text

ROOT = Path(__file__).parents[2]


def git(*arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a little code, parameters and a study, without DVC."""
    monkeypatch.chdir(tmp_path)
    for name in ("pipeline/methods/pocan.py", "pipeline/methods/dann.py", "pipeline/data/crops.py", "stages/split.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    (tmp_path / "studies").mkdir()
    (tmp_path / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    study = {
        "title": "Two",
        "seeds": [0, 1],
        "targets": ["ckplus", "jaffe"],
        "reference": "POCAN",
        "tables": [1, 3],
        "variants": {"POCAN": {}, "DANN": {"adapt.method": "dann"}},
    }
    (tmp_path / "studies/two.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "-m", "code")
    return tmp_path


def experiment(run: plan.Run, right: int, **changes: Any) -> None:
    """Leave in git what DVC leaves of an experiment: a commit on the baseline with the results, under its ref."""
    for target in run.params.targets:
        after = metrics(confusion(right, 20 - right), [0.5, 0.9])
        made = result(target, seed=run.seed, method=run.params.adapt.method, after=after)
        made |= {"parameters": run.result_params(target)}
        made |= {"tested": pictures(confusion(12, 8), confusion(right, 20 - right))}
        folder = Path("reports/evaluate", target)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "result.json").write_text(json.dumps(made | changes))
    git("add", "--all")
    commit = git("commit-tree", git("write-tree"), "-p", "HEAD", "-m", run.name)
    baseline = git("rev-parse", "HEAD")
    git("update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/{run.name}", commit)
    git("reset", "--quiet", "--hard")


def commit_parameters(*changes: tuple[str, str]) -> None:
    """Commit params.yaml with some of its text replaced."""
    text = Path("params.yaml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    Path("params.yaml").write_text(text)
    git("commit", "--quiet", "-am", "other parameters")


def report_of(*, study: plan.Study, runs: list[plan.Run]) -> str:
    return write_report("two", study, runs, *collect(runs, experiments.finished()), {})[1].read_text()


def planned() -> tuple[plan.Study, list[plan.Run]]:
    study = plan.read("two")
    return study, plan.runs("two", study)


def test_what_is_done_missing_and_of_other_parameters_or_code(repository: Path) -> None:
    _, runs = planned()
    experiment(runs[0], 15)
    experiment(runs[1], 15, parameters={"seed": 1})
    experiment(runs[2], 10)
    states = [state_of(run, experiments.finished()) for run in runs]
    assert states == ["done", "other parameters", "done", "missing"]
    (repository / "pipeline/data/crops.py").write_text("2")
    assert experiments.uncommitted() == ["pipeline/data/crops.py"]
    git("commit", "--quiet", "-am", "other code")
    assert [state_of(run, experiments.finished()) for run in runs][::2] == ["other code"] * 2
    experiment(runs[0], 10)
    assert [found.baseline == git("rev-parse", "HEAD") for found in experiments.finished()[runs[0].name]].count(
        True
    ) == 1
    assert [state_of(run, experiments.finished()) for run in runs][::2] == ["done", "other code"]


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    "change",
    [
        ("root: data/standins", "root: data/real"),
        ("scale: 1.0", "scale: 2.0"),
        ("precision: auto", "precision: bf16"),
    ],
)
def test_other_pictures_and_another_precision_are_other_parameters(change: tuple[str, str]) -> None:
    experiment(planned()[1][0], 15)
    commit_parameters(change)
    run = planned()[1][0]
    assert state_of(run, experiments.finished()) == "other parameters"
    experiment(run, 15)
    assert state_of(run, experiments.finished()) == "done"
    git("revert", "--no-edit", "HEAD")
    assert state_of(planned()[1][0], experiments.finished()) == "done"


@pytest.mark.usefixtures("repository")
def test_a_result_that_is_no_longer_read_is_missing() -> None:
    _, runs = planned()
    experiment(runs[0], 15, confusion_of="old")
    assert state_of(runs[0], experiments.finished()) == "done"
    experiment(runs[0], 15, n_test="many")
    assert state_of(runs[0], experiments.finished()) == "missing"


@pytest.mark.usefixtures("repository")
def test_the_report_compares_pairs_and_names_what_is_missing() -> None:
    study, runs = planned()
    for run, right in zip(runs[:3], (15, 16, 10), strict=True):
        experiment(run, right)
    there = experiments.finished()
    files = write_report("two", study, runs, *collect(runs, there), {"two-dann-1": "error: no disk"})
    assert [path.name for path in files] == ["two.csv", "two.md", "two.json", "two-matrix.png"]
    text = files[1].read_text()
    assert "3 of 4 experiments (variants: 2; seeds: 0, 1)" in text
    assert "- **failed**: DANN, seed 1 (`two-dann-1`): error: no disk" in text
    assert "| DT (of POCAN) | 60.0 ± 0.0 (2) ◊, balanced 60.0 ± 0.0 ◊ | 60.0 ± 0.0 (2) ◊, balanced" in text
    assert "| POCAN | 77.5 ± 3.5 (2) ◊, balanced 77.5 ± 3.5 ◊ | 77.5 ± 3.5 (2) ◊, balanced" in text
    assert "| DANN | 50.0 ◊, balanced 50.0 ◊ | 50.0 ◊, balanced 50.0 ◊ |" in text
    # The seed that both have.
    assert "| 0 : 2 | −25.0 ◊ | 0.500 |" in text.split("## Against POCAN")[1]
    # POCAN over DT: 105 and 112 of 140 against 84. DANN with seed 0 alone against POCAN's 105: 35 of 140 less.
    assert "| POCAN | +17.5 ◊ [" in text
    assert "| 2 : 0 | +17.5 ◊ | 0.500 |" in text
    assert "| DANN | −25.0 ◊ [" in text
    assert "| keep the source model | 60.0 ◊ | 60.0 ◊ | 20.0 ◊ | 6 |" in text
    assert "| last epoch | 75.0 ◊ | 72.0 ◊ | 5.0 ◊ | 6 |" in text
    assert "The bootstrap draws CK+ 140 pictures, JAFFE 140 pictures." in text
    table = pd.read_csv(files[0])
    assert len(table) == 6
    assert table["adapted_accuracy"].tolist() == [75.0, 75.0, 80.0, 80.0, 50.0, 50.0]
    assert files[3].read_bytes().startswith(b"\x89PNG")


def test_the_tables_of_the_report_have_a_studys_rows(repository: Path) -> None:
    study, runs = planned()
    for run, right in zip(runs[:3], (15, 16, 10), strict=True):
        experiment(run, right)
    write_report("two", study, runs, *collect(runs, experiments.finished()), {})
    (studied,) = load_studies(repository / "reports/studies")
    text = tables_text(repository / "made", result("ckplus"), studies=[studied])
    table = section(text, "Table 1.")
    line = f"measured by `pocan study two`, revision {studied.revisions[0]}, 1 of 4 experiments missing"
    assert row(table, f"*{line}*")
    front = ("RAF-DB", "ResNet-10, no pre-training")
    assert row(table, "DT (of POCAN)", *front) == ["60.0 ± 0.0 (2) ◊, balanced 60.0 ± 0.0 ◊"] * 2 + ["–"] * 2
    assert row(table, "POCAN", *front) == ["77.5 ± 3.5 (2) ◊, balanced 77.5 ± 3.5 ◊"] * 2 + ["–"] * 2
    ablation = section(text, "Table 3.")
    assert row(ablation, "DANN") == ["50.0 ◊, balanced 50.0 ◊"] * 2 + ["–"] * 4
    assert line not in section(text, "Table 2.")
    assert "No target of this table was run" not in text.split("## Table 2.")[0]
    assert "No adapted target" not in ablation
    assert "![Two](studies/two-matrix.png)" in section(text, "Studies")
    other = result("ckplus", parameters=runs[0].result_params("ckplus") | {"pretrain.tau": 0.3, "seed": 5})
    text = tables_text(repository / "other", other, studies=[studied])
    assert row(section(text, "Table 1."), f"*{line}; unlike this run in `pretrain.tau`*")


def measured_unlike(runs: list[plan.Run]) -> None:
    """POCAN with two seeds and DANN with one, of which POCAN's first was computed on another device."""
    environment = {stage: {**values, "device": "cuda"} for stage, values in result("ckplus")["environment"].items()}
    experiment(runs[0], 15, environment=environment)
    experiment(runs[1], 15)
    experiment(runs[2], 10)


def test_a_mean_over_what_was_computed_unlike_is_marked(repository: Path) -> None:
    study, runs = planned()
    measured_unlike(runs)
    text = report_of(study=study, runs=runs)
    assert "| POCAN | 75.0 ± 0.0 (2) ◊ ≠, balanced 75.0 ± 0.0 ◊ ≠ | 75.0 ± 0.0 (2) ◊ ≠, balanced" in text
    assert "| DANN | 50.0 ◊, balanced 50.0 ◊ | 50.0 ◊, balanced 50.0 ◊ |" in text
    assert "2 with fp32 on cuda (AVX2), torch 2.11.0" in text
    assert "4 with fp32 on cpu (AVX2), torch 2.11.0" in text
    (studied,) = load_studies(repository / "reports/studies")
    tables = tables_text(repository / "made", result("ckplus"), studies=[studied])
    assert "≠ A mean over results with different precision" in section(tables, "Table 1.")


@pytest.mark.usefixtures("repository")
def test_a_variant_whose_own_loss_hardly_acts_is_named() -> None:
    study, runs = planned()
    experiment(runs[0], 15)
    experiment(runs[2], 10, own_share=0.03)
    text = report_of(study=study, runs=runs).split("## How much a method's own loss acts")[1]
    assert "| DANN | 3.0 % ◊, **its own loss hardly acts** |" in text
    assert "| POCAN | " not in text.split("## Choosing")[0]


@pytest.mark.usefixtures("repository")
def test_p_values_are_raised_for_the_number_of_variants(repository: Path) -> None:
    text = (repository / "studies/two.yaml").read_text()
    (repository / "studies/two.yaml").write_text(f"{text}  Again: {{adapt.method: dann, adapt.epochs: 5}}\n")
    study, runs = planned()
    for run in runs:
        experiment(run, 12 if run.variant == "POCAN" else 13 + run.seed)
    against = report_of(study=study, runs=runs).split("## Against POCAN")[1].split("Balanced accuracy:")[0]
    alone = paired(collect(runs, experiments.finished())[0], "DANN", "POCAN", "ckplus")
    assert alone is not None
    assert row(against, "DANN")[0].endswith(f"p {2 * alone.accuracy.p:.3f}")


@pytest.mark.usefixtures("repository")
def test_other_test_parts_are_not_compared() -> None:
    study, runs = planned()
    experiment(runs[0], 15)
    experiment(runs[2], 10, split={**SPLIT, "protocol": {**SPLIT["protocol"], "protocol": "subject"}})
    against = report_of(study=study, runs=runs).split("## Against POCAN")[1]
    assert "| DANN | – | – | – | – | – |" in against


@pytest.mark.usefixtures("repository")
def test_a_result_from_before_a_validator_is_left_out_of_its_row() -> None:
    study, runs = planned()
    experiment(runs[0], 15)
    judged = result("ckplus")["unlabelled"]
    fewer = {name: choice for name, choice in judged["choices"].items() if name != "deep_embedded"}
    experiment(runs[1], 15, unlabelled={**judged, "choices": fewer})
    text = report_of(study=study, runs=runs)
    assert "| entropy | 70.0 ◊ | – | 10.0 ◊ | 4 |" in text
    assert "| deep embedded validation | 70.0 ◊ | – | 10.0 ◊ | 2 |" in text


def test_a_clone_without_experiments_keeps_what_another_has_collected(repository: Path) -> None:
    study, runs = planned()
    experiment(runs[0], 15)
    write_report("two", study, runs, *collect(runs, experiments.finished()), {})
    before = (repository / "reports/studies/two.md").read_bytes()
    with pytest.raises(PipelineError, match=r"two\.json has the results of 1 .* none of them is in this clone"):
        write_report("two", study, runs, *collect(runs, {}), {})
    assert (repository / "reports/studies/two.md").read_bytes() == before


def test_a_mean_over_all_targets_has_the_marks_of_each() -> None:
    first = StudyCell(mean=70.0, deviation=1.0, seeds=3, drawn=True, known=False, current=True, alike=True)
    row_ = StudyRow(name="POCAN", source="RAF-DB", backbone="ResNet-10", cells={"ckplus": first})
    assert average(row_, ["ckplus", "jaffe"]) == "–"
    second = first.model_copy(update={"mean": 60.0, "drawn": False, "known": True, "current": False, "alike": False})
    both = row_.model_copy(update={"cells": {"ckplus": first, "jaffe": second}})
    assert average(both, ["ckplus", "jaffe"]) == "65.0 ◊ § ¶ ≠"


def test_direct_transfer_is_compared_with_others_and_not_with_itself(repository: Path) -> None:
    text = (repository / "studies/two.yaml").read_text()
    (repository / "studies/two.yaml").write_text(text.replace("dann", "dt").replace("DANN", "Nothing"))
    study, runs = planned()
    for run in runs:
        experiment(run, 15 if run.variant == "POCAN" else 12)
    text = write_report("two", study, runs, *collect(runs, experiments.finished()), {})[1].read_text()
    against_transfer, against_pocan = text.split("## Against ")[1:]
    assert "| Nothing | " not in against_transfer
    assert "| Nothing | −15.0 ◊ [" in against_pocan


def test_a_damaged_study_is_named(tmp_path: Path) -> None:
    (tmp_path / "two.json").write_text('{"name": "two"}')
    with pytest.raises(PipelineError, match=r"two\.json: damaged; run pocan study two --collect"):
        load_studies(tmp_path)


@pytest.mark.usefixtures("repository")
def test_costs_are_means_over_what_is_known() -> None:
    study, runs = planned()
    experiment(runs[0], 15)
    costs = {
        "two-pocan-0": {"ckplus": Cost(100.0, 900.0), "jaffe": Cost(200.0, 1100.0)},
        "two-pocan-1": {"jaffe": Cost(300.0, 1000.0)},
    }
    files = write_report("two", study, runs, *collect(runs, experiments.finished()), {}, costs)
    text = files[1].read_text()
    assert "| POCAN | 200 | 1,000 | 3 |" in text
    assert "| DANN | " not in text.split("## What an adaptation costs")[1]
    table = pd.read_csv(files[0]).set_index("target")
    assert table["seconds"].to_dict() == {"ckplus": 100.0, "jaffe": 200.0}
    assert table["memory_mib"].to_dict() == {"ckplus": 900.0, "jaffe": 1100.0}


@pytest.mark.parametrize(
    ("path", "stale"),
    [
        ("pipeline/methods/pocan.py", ["POCAN"]),
        ("pipeline/methods/dann.py", ["DANN"]),
        ("pipeline/datasets/jaffe.py", ["POCAN", "DANN"]),
        ("stages/standins.py", ["POCAN", "DANN"]),
        ("dvc.yaml", ["POCAN", "DANN"]),
        ("pipeline/datasets/oulu.py", []),  # no target of the study
        ("pipeline/reporting/page.py", []),
        ("stages/report.py", []),
        ("README.md", []),
    ],
)
def test_only_code_that_a_result_depends_on_makes_it_one_of_other_code(
    repository: Path, path: str, stale: list[str]
) -> None:
    _, runs = planned()
    for run in runs:
        experiment(run, 15)
    file = repository / path
    file.parent.mkdir(exist_ok=True)
    file.write_text((file.read_text() if file.is_file() else "") + "\n# other")
    git("add", "--all")
    git("commit", "--quiet", "-m", "a change")
    states = {run.variant: state_of(run, experiments.finished()) for run in runs}
    assert states == {name: "other code" if name in stale else "done" for name in ("POCAN", "DANN")}


def test_results_of_other_code_are_marked(repository: Path) -> None:
    study, runs = planned()
    experiment(runs[0], 15)
    (repository / "pipeline/methods/pocan.py").write_text("2")
    git("commit", "--quiet", "-am", "other code")
    text = write_report("two", study, runs, *collect(runs, experiments.finished()), {})[1].read_text()
    assert "| POCAN | 75.0 ◊ ¶, balanced 75.0 ◊ ¶ | 75.0 ◊ ¶, balanced" in text
    assert "¶ A result was computed with other code" in text


@pytest.mark.usefixtures("repository")
def test_a_study_without_any_result_says_so() -> None:
    study, runs = planned()
    files = write_report("two", study, runs, *collect(runs, experiments.finished()), {})
    assert [path.name for path in files] == ["two.csv", "two.md", "two.json"]
    assert "0 of 4 experiments" in files[1].read_text()
    missing = [line for line in files[1].read_text().splitlines() if line.startswith("- missing: ")]
    assert missing == [f"- missing: {run.variant}, seed {run.seed} (`{run.name}`)" for run in runs]
    assert pd.read_csv(files[0]).empty
    (studied,) = load_studies(files[2].parent)
    assert studied.heading() == "measured by `pocan study two`, 4 of 4 experiments missing"
    assert studies_section([studied], "studies") == ""


@pytest.mark.usefixtures("repository")
def test_every_mark_of_the_report_is_explained() -> None:
    study, runs = planned()
    experiment(runs[0], 15, split={**SPLIT, "protocol": {**SPLIT["protocol"], "classes": ["anger", "fear"]}})
    text = write_report("two", study, runs, *collect(runs, experiments.finished()), {})[1].read_text()
    assert "| POCAN | 75.0 ◊ §, balanced 75.0 ◊ § | 75.0 ◊ §, balanced" in text
    assert f"{MARK_NOTE}\n{KNOWN_NOTE}" in text


def texts(figure: Figure) -> dict[str, str]:
    """What stands on a matrix, and its weight."""
    return {text.get_text(): str(text.get_fontweight()) for text in figure.axes[0].texts}


@pytest.mark.usefixtures("repository")
def test_a_matrix_has_a_mean_and_is_bold_where_the_interval_excludes_zero() -> None:
    study, runs = planned()
    for run, right in zip(runs[::2], (18, 12), strict=True):
        experiment(run, right)
    collected, _ = collect(runs, experiments.finished())
    figure = figures._matrix(study, ["ckplus", "jaffe"], collected)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["CK+", "JAFFE", "mean"]
    weights = texts(figure)
    assert weights["90.0 (90.0)\n+30.0"] == "normal"  # a mean has no interval
    assert {weight for text, weight in weights.items() if "\n+30.0 [" in text} == {"bold"}
    assert {weight for text, weight in weights.items() if "\n0.0 [" in text} == {"normal"}
    (title,) = [text for text in figure.texts if text.get_text().startswith("Two")]
    assert title.get_color() == "black"


@pytest.mark.usefixtures("repository")
def test_one_variant_is_drawn_as_dots_with_intervals() -> None:
    study, runs = planned()
    experiment(runs[0], 15)
    alone = study.model_copy(update={"variants": {"POCAN": {}}})
    collected, _ = collect(runs[:1], experiments.finished())
    figure = figures._dots(alone, ["ckplus", "jaffe"], collected)
    (axes,) = figure.axes
    found = paired(collected, "POCAN", None, "ckplus")
    assert found is not None
    assert [label.get_text() for label in axes.get_yticklabels()] == ["CK+", "JAFFE"]
    bars: Any = axes.collections
    intervals = [bar.get_segments()[0][:, 0].tolist() for bar in bars]
    assert intervals == [pytest.approx([found.accuracy.low, found.accuracy.high])] * 2


@pytest.mark.usefixtures("repository")
def test_a_parameter_has_a_panel_a_target_of_one_height_with_its_default_marked(repository: Path) -> None:
    study: dict[str, Any] = {"title": "Two", "seeds": [0], "targets": ["ckplus", "jaffe"], "along": "adapt.tau"}
    study["variants"] = {"0.5": {"adapt.tau": 0.5}, "0.9": {"adapt.tau": 0.9}}
    (repository / "studies/two.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    study_, runs = planned()
    for run, right in zip(runs, (15, 10), strict=True):
        experiment(run, right)
    figure = figures._along(study_, ["ckplus", "jaffe"], collect(runs, experiments.finished())[0])
    heights = {round(high - low, 6) for low, high in (axes.get_ylim() for axes in figure.axes)}
    assert len(heights) == 1
    for axes in figure.axes:
        assert [0.7, 0.7] in [np.asarray(line.get_xdata()).tolist() for line in axes.lines]
    assert "the method's default, 0.7" in figure.get_supxlabel()


def test_rows_that_came_with_the_repository_say_so(repository: Path) -> None:
    study, runs = planned()
    experiment(runs[0], 15)
    write_report("two", study, runs, *collect(runs, experiments.finished()), {})
    path = repository / "reports/studies"
    assert "committed" not in load_studies(path)[0].heading()
    git("add", "--all")
    git("commit", "--quiet", "-m", "results")
    (studied,) = load_studies(path)
    assert studied.heading().startswith("measured by `pocan study two`, as committed in this repository, revision ")
    assert "committed" not in studied.model_dump()
    (path / "two.json").write_text((path / "two.json").read_text() + "\n")
    assert "committed" not in load_studies(path)[0].heading()
