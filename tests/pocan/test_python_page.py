"""docs/python.md: its examples, run from top to bottom as a reader would, in a folder that holds no project."""

import re
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from PIL import Image

from pipeline.tracking.runs import StageRun
from tests.faces.scenes import two_faces
from tests.own_pictures.projects import write_project

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setattr(StageRun, "log_model", lambda *_: None)  # takes seconds, and is tested elsewhere
    write_project(tmp_path)
    for name in ("params.yaml", "dvc.yaml", "data"):
        path = tmp_path / name
        path.rename(path.with_name(f".{name}"))
    (tmp_path / "album").rename("holiday")
    Image.fromarray(two_faces()).save("party.jpg", quality=95)
    names: dict[str, Any] = {}
    for example in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(compile(example, "docs/python.md", "exec"), names)
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    assert len(names["by_path"]) == len(names["by_image"]) == len(names["by_array"]) == 2
    table, result = names["table"], names["result"]
    with Image.open("party-faces.jpg") as drawn:
        assert (np.abs(np.asarray(drawn).astype(int) - two_faces()).max(axis=2) > 100).mean() > 0.01
    assert table["source"].tolist() == [f"holiday/sub/{index}.png" for index in range(5)]
    told = re.findall(r"`(\w+)`", text.partition("| column |")[2].partition("\n\n")[0])
    rest = [name for name in table.columns if not name.startswith("p_")]
    assert [name for name in told if not name.startswith("p_")] == rest
    assert result.table().columns.tolist() == table.columns.tolist()
    assert result.table().dtypes.tolist() == table.dtypes.tolist()
    assert len(result.table()) == 5
    assert Path("mine-better/report.md").exists()
    assert all(path.exists() for path in (result.model, result.predictions, result.report, result.page))
    output = capsys.readouterr().out
    assert output.count("'happiness': ") == 2
    assert "nowhere.jpg: no such file" in output
