"""index.html of an adaptation to one's own pictures: what is drawn, listed and shown."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from pipeline.config.schema import ReportParams
from pipeline.data.outcome import Outcome, Predictions, Sample
from pipeline.data.prepared import PreparedData, Split
from pipeline.evaluation.scorecard import predictions_table
from pipeline.own_pictures import page
from tests.reporting.made_results import PARAMS
from tests.stores import flat, write_store

CURVE = pd.DataFrame({"epoch": [1.0, 2.0], "loss": [3.0, 2.0]})
ROWS = np.arange(1, 12)
"""Of twelve pictures all but the first have a face."""


def prepared(folder: Path, name: str, rows: NDArray[np.int64]) -> PreparedData:
    manifest = [{"key": f"{name}-{row}.png", "label": row % 7, "method": "mtcnn"} for row in range(12)]
    store = write_store(folder / name, [flat(20 * row) for row in range(12)], manifest, name)
    return PreparedData(name, store, Split(rows, rows))


def predicted(shift: int, of_source: int) -> Predictions:
    """Picture i is predicted class i + shift; embeddings of ``of_source`` and eleven pictures."""
    probabilities = np.full((12, 7), 0.05, np.float32)
    probabilities[np.arange(12), (np.arange(12) + shift) % 7] = 0.7
    generator = np.random.Generator(np.random.PCG64(shift))
    source, target = (generator.normal(size=(count, 8)).astype(np.float32) for count in (of_source, 11))
    return Predictions(probabilities, np.full((of_source, 7), 1 / 7, np.float32), source, target)


def shown(folder: Path, with_source: bool = True, pictures: bool = False) -> dict[str, Any]:
    """The data of the page."""
    source = prepared(folder, "rafdb", np.arange(6)) if with_source else None
    target = prepared(folder, "album", ROWS)
    drawn = Sample.draw(np.arange(6 if with_source else 0), 0), Sample.draw(ROWS, 0)
    outcome = Outcome(*drawn, predicted(0, len(drawn[0].rows)), predicted(1, len(drawn[0].rows)))
    table = predictions_table(target, outcome.after.probabilities.astype(np.float64))
    settings = PARAMS.model_copy(update={"report": ReportParams(pictures=pictures)})
    html = page.html(settings, "# album\n\n## Expressions\n", source, target, outcome, table, CURVE, "")
    start = html.index('type="application/json">') + len('type="application/json">')
    found: dict[str, Any] = json.loads(html[start : html.index("</script>", start)])
    return found


def test_pictures_with_a_face_are_listed_without_labels(tmp_path: Path) -> None:
    found = shown(tmp_path)["groups"][0]["predictions"]
    assert found["picture"] == [f"album-{row}.png" for row in ROWS]
    assert found["expression"] == [(row + 1) % 7 for row in ROWS]
    assert found["confidence"] == pytest.approx([0.7] * 11)
    assert set(found["label"]) == {-1}
    assert found["note"] == "11 pictures with a face"


def test_expressions_are_counted_before_and_after(tmp_path: Path) -> None:
    before, after = shown(tmp_path)["groups"][0]["plots"][0]["data"]
    assert before["y"] == [1, 2, 2, 2, 2, 1, 1]
    assert after["y"] == [1, 1, 2, 2, 2, 2, 1]


def test_points_have_the_class_that_is_predicted(tmp_path: Path) -> None:
    group = shown(tmp_path)["groups"][0]
    assert [plot["name"] for plot in group["plots"]] == ["expressions", "tsne", "adaptation"]
    happy = [trace for trace in group["plots"][1]["data"] if trace["name"] == "happiness, album"]
    assert [sorted(name for name, _ in trace["customdata"]) for trace in happy] == [
        ["album-10.png", "album-3.png"],
        ["album-2.png", "album-9.png"],
    ]
    source = [trace for trace in group["plots"][1]["data"] if trace["name"] == "happiness, RAF-DB"]
    assert [trace["customdata"] for trace in source] == [[["rafdb-3.png", -1]]] * 2


def test_without_the_source_there_are_the_users_pictures_alone(tmp_path: Path) -> None:
    points = shown(tmp_path, with_source=False)["groups"][0]["plots"][1]["data"]
    assert {trace["marker"]["symbol"] for trace in points} == {"triangle-up"}
    assert sum(len(trace["x"]) for trace in points) == 22


def test_copies_of_pictures_only_where_asked_for(tmp_path: Path) -> None:
    assert shown(tmp_path / "without")["sheets"] == {}
    found = shown(tmp_path / "with", pictures=True)
    assert set(found["sheets"]) == {"source", "target"}
    assert found["groups"][0]["predictions"]["cell"] == list(range(11))
