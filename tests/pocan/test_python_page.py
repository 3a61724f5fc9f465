"""docs/python.md: its examples, run from top to bottom as a reader would."""

import re
from pathlib import Path
from typing import Any

import mlflow
import pytest
from PIL import Image

from pipeline.tracking.runs import StageRun
from tests.faces.scenes import two_faces
from tests.models import write_adapted
from tests.own_pictures.projects import write_project

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setattr(StageRun, "log_model", lambda *_: None)  # takes seconds, and is tested elsewhere
    write_project(tmp_path)
    write_adapted(tmp_path / "mine/model")
    (tmp_path / "album").rename("holiday")
    Image.fromarray(two_faces()).save("party.jpg", quality=95)
    names: dict[str, Any] = {}
    for example in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(compile(example, "docs/python.md", "exec"), names)
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    assert len(names["by_path"]) == len(names["by_image"]) == len(names["by_array"]) == 2
    result = names["result"]
    assert all(path.exists() for path in (result.model, result.predictions, result.report, result.page))
    output = capsys.readouterr().out
    assert output.count("'happiness': ") == 2
    assert "nowhere.jpg: no such file" in output
