"""Results that are missing, damaged or do not belong together end in one message, and nothing is written."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.dependencies import result_params
from pipeline.errors import PipelineError
from pipeline.reporting import write_report
from pipeline.reporting.results import load_evaluations
from tests.reporting.made_results import PARAMS, confusion, metrics, params_for, result, tsne_csv, write

OURS = result_params(PARAMS, "jaffe")


def refused(root: Path, *targets: str) -> str:
    with pytest.raises(PipelineError) as caught:
        write_report(params_for(*targets), root)
    assert not (root / "reports/tables.md").exists()
    assert not (root / "reports/figures").exists()
    return str(caught.value)


@pytest.mark.parametrize("name", ["result.json", "tsne.csv"])
def test_missing_result_names_the_file_and_the_command(tmp_path: Path, name: str) -> None:
    write(tmp_path, result("ckplus"), result("jaffe"))
    path = tmp_path / "reports/evaluate/jaffe" / name
    path.unlink()
    assert refused(tmp_path, "ckplus", "jaffe") == f"{path}: missing; run dvc repro evaluate@jaffe"


def test_missing_source_metrics(tmp_path: Path) -> None:
    write(tmp_path, result("ckplus"))
    (tmp_path / "reports/source.json").unlink()
    assert refused(tmp_path, "ckplus") == f"{tmp_path / 'reports/source.json'}: missing; run dvc repro prototypes"


def test_source_metrics_of_another_set(tmp_path: Path) -> None:
    write(tmp_path, result("ckplus"))
    path = tmp_path / "reports/source.json"
    path.write_text(path.read_text(encoding="utf-8").replace("rafdb", "fer2013"), encoding="utf-8")
    assert "dataset: 'fer2013', but source is 'rafdb'" in refused(tmp_path, "ckplus")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"adapts": "magic"}, "adapts: Input should be a valid boolean"),
        ({"environment": None}, "environment: Input should be an object"),
        ({"provenance": {"source": "real"}}, "provenance.target: Field required"),
        ({"n_test": 139}, "n_test is 139, but before.support sums to 140"),
        ({"before": None}, "n_test is 140, but before is missing"),
        ({"n_test": 0}, "n_test is 0, but before is present"),
        ({"after": metrics(confusion(15, 5)) | {"support": [21] * 7}}, "rows of confusion do not sum to support"),
        ({"after": metrics(confusion(15, 5)) | {"accuracy": 75.0}}, "after.accuracy: Input should be less than"),
        ({"after": metrics(confusion(15, 5)) | {"f1": [0.5] * 6}}, "after.f1: Tuple should have at least 7 items"),
    ],
)
def test_damaged_result_names_the_key(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    write(tmp_path, result("ckplus", **changes))
    message = refused(tmp_path, "ckplus")
    assert message.startswith(
        f"{tmp_path / 'reports/evaluate/ckplus/result.json'}: damaged; run dvc repro evaluate@ckplus"
    )
    assert fault in message


def test_result_that_is_no_json(tmp_path: Path) -> None:
    write(tmp_path, result("ckplus"))
    (tmp_path / "reports/evaluate/ckplus/result.json").write_text('{"source":', encoding="utf-8")
    assert "Invalid JSON" in refused(tmp_path, "ckplus")


def test_result_of_another_target(tmp_path: Path) -> None:
    write(tmp_path, result("ckplus"))
    path = tmp_path / "reports/evaluate/ckplus/result.json"
    path.write_text(json.dumps(result("jaffe")), encoding="utf-8")
    assert "target: 'jaffe', expected 'ckplus'" in refused(tmp_path, "ckplus")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"parameters": OURS | {"adapt.tau": 0.6}}, "adapt.tau is 0.6, but 0.7 for ckplus"),
        (
            {"parameters": result_params(PARAMS, "jaffe") | {"split.rafdb.protocol": "all"}},
            "split.rafdb.protocol is 'all', but",
        ),
        ({"without": ["l_ad"]}, "without is ('l_ad',), but () for ckplus"),
        ({"backbone": "resnet18"}, "backbone is 'resnet18', but 'resnet10' for ckplus"),
        ({"epochs": {"pretrain": 10, "prototypes": 50, "adapt": 6}}, "epochs.adapt is 6, but 5 for ckplus"),
        ({"provenance": {"source": "real", "target": "real"}}, "provenance.source is 'real', but 'stand-in'"),
    ],
)
def test_runs_of_different_configuration_share_no_table(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    write(tmp_path, result("ckplus"), result("jaffe", **changes))
    message = refused(tmp_path, "ckplus", "jaffe")
    assert message.startswith(str(tmp_path / "reports/evaluate/jaffe/result.json"))
    assert fault in message


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("before,target,0,7,0.0,0.0", "line 562: value out of range"),
        ("during,target,0,1,0.0,0.0", "line 562: value out of range"),
        ("before,both,0,1,0.0,0.0", "line 562: value out of range"),
        ("before,target,0,1,,0.0", "line 562: value out of range"),
        ("before,target,0,anger,0.0,0.0", "damaged ("),
    ],
)
def test_damaged_tsne_names_the_line(tmp_path: Path, line: str, fault: str) -> None:
    write(tmp_path, result("ckplus"))
    path = tmp_path / "reports/evaluate/ckplus/tsne.csv"
    path.write_text(tsne_csv(("before", "after"), labels=True) + line + "\n", encoding="utf-8")
    message = refused(tmp_path, "ckplus")
    assert message.startswith(f"{path}: ")
    assert fault in message
    assert message.endswith("run dvc repro evaluate@ckplus")


def test_tsne_without_points_before(tmp_path: Path) -> None:
    write(tmp_path, result("ckplus"))
    path = tmp_path / "reports/evaluate/ckplus/tsne.csv"
    path.write_text(tsne_csv(("after",), labels=True), encoding="utf-8")
    assert "no point of stage before" in refused(tmp_path, "ckplus")


def test_evaluations_keep_the_order_of_the_targets(tmp_path: Path) -> None:
    write(tmp_path, result("jaffe"), result("ckplus"))
    evaluations = load_evaluations(params_for("jaffe", "ckplus"), tmp_path)
    assert [evaluation.result.target for evaluation in evaluations] == ["jaffe", "ckplus"]
    embedding = evaluations[0].tsne["after"]
    assert embedding.points.shape == (280, 2)
    assert embedding.target.sum() == 140
    assert set(embedding.label.tolist()) == set(range(7))
