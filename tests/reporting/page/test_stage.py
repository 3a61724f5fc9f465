"""The report stage and what it gives to MLflow."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from pipeline.config import load as params
from stages import report
from tests.reporting.page.made_project import write_project

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.parametrize("pictures", [False, True])
def test_a_page_with_pictures_is_written_but_not_logged(
    pictures: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project(tmp_path)
    (tmp_path / "reports/evaluate/ckplus/metrics.json").write_text('{"accuracy": 0.5}')
    (tmp_path / "params").symlink_to(ROOT / "params")
    values = params.read(ROOT / "params.yaml") | {"targets": ["ckplus"], "report": {"pictures": pictures}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    monkeypatch.chdir(tmp_path)
    logged: list[Path] = []
    monkeypatch.setattr(report, "log_report", lambda _settings, _metrics, files: logged.extend(files))
    read, read_csv = list[Path](), pd.read_csv

    def noted(path: Path, **options: Any) -> pd.DataFrame:
        read.append(path)
        table: pd.DataFrame = read_csv(path, **options)
        return table

    monkeypatch.setattr(pd, "read_csv", noted)
    report.main()
    assert sorted(read) == sorted(set(read))  # each table once
    page = Path("reports/index.html")
    assert ("data:image/jpeg" in page.read_text(encoding="utf-8").partition("<script>")[0]) == pictures
    assert (page in logged) != pictures
    assert Path("reports/tables.md") in logged


def test_the_executions_run_has_the_means_of_the_targets_with_labels() -> None:
    found: dict[str, dict[str, str | float]] = {
        "ckplus": {"accuracy": 0.8, "dt.accuracy": 0.7, "gain": 0.1, "n_test": 40},
        "jaffe": {"accuracy": 0.6, "dt.accuracy": 0.7, "gain": -0.1, "n_test": 20},
        "album": {"n_test": 0},
    }
    metrics = report.headline_metrics(found)
    assert metrics["jaffe.dt.accuracy"] == 0.7
    assert metrics["album.n_test"] == 0.0
    means = {key: value for key, value in metrics.items() if key.partition(".")[0] not in found}
    assert means == pytest.approx({"accuracy": 0.7, "dt.accuracy": 0.7, "gain": 0.0})
