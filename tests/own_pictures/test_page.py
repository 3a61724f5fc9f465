"""index.html of an adaptation to one's own pictures: what is drawn, listed and shown."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from pipeline.config.schema import ReportParams
from pipeline.data.outcome import Outcome, Predictions, RowSample
from pipeline.data.prepared import PreparedData, Split
from pipeline.evaluation.records import ProvenancePair
from pipeline.evaluation.scorecard import predictions_table
from pipeline.networks.encoder_statistics import StatisticsChoice
from pipeline.own_pictures import page, report
from tests.reporting.made_results import PARAMS
from tests.stores import flat, write_store

REAL = ProvenancePair(source="real", target="real")
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


def shown(folder: Path, **options: Any) -> dict[str, Any]:
    """The data of the page."""
    html = written(folder, **options)
    start = html.index('type="application/json">') + len('type="application/json">')
    found: dict[str, Any] = json.loads(html[start : html.index("</script>", start)])
    return found


def written(
    folder: Path, with_source: bool = True, pictures: bool = False, kept_source: bool = False, same: int | None = None
) -> str:
    """The page; the expression of picture ``same`` stays what it was."""
    source = prepared(folder, "rafdb", np.arange(6)) if with_source else None
    target = prepared(folder, "album", ROWS)
    drawn = RowSample.draw(np.arange(6 if with_source else 0), 0), RowSample.draw(ROWS, 0)
    outcome = Outcome(*drawn, predicted(0, len(drawn[0].rows)), predicted(1, len(drawn[0].rows)))
    if same is not None:
        outcome.after.probabilities[same] = outcome.before.probabilities[same]
    table = predictions_table(target, outcome.after.probabilities.astype(np.float64))
    before = outcome.before.probabilities.astype(np.float64)
    data = report.ReportData(
        settings=PARAMS.model_copy(update={"report": ReportParams(pictures=pictures)}),
        model="models/source",
        why="",
        target=target,
        unit="picture",
        outcome=outcome,
        kept_epoch=0 if kept_source else 2,
        statistics=StatisticsChoice("source"),
        moved=1.0,
        scores=report.judged(target, outcome, None if source is None else source.store.labels()),
        with_source=with_source,
        predictions=table.iloc[ROWS],
        changes=(),
        validations=pd.DataFrame(),
        verdict=None,
        queries=(),
        provenance=REAL,
        imported=False,
    )
    return page.html(data, "# album\n\n## Expressions\n", source, table, before, CURVE)


def test_pictures_with_a_face_are_listed_without_labels(tmp_path: Path) -> None:
    found = shown(tmp_path)["groups"][0]["predictions"]
    assert found["picture"] == [f"album-{row}.png" for row in ROWS]
    assert found["expression"] == [(row + 1) % 7 for row in ROWS]
    assert found["confidence"] == pytest.approx([0.7] * 11)
    assert found["before"] == [row % 7 for row in ROWS]
    assert found["share"] == pytest.approx([0.7] * 11)
    assert set(found["label"]) == {-1}
    assert found["note"] == "11 pictures with a face"


def test_expressions_are_counted_before_and_after(tmp_path: Path) -> None:
    before, after = shown(tmp_path)["figure"]["panels"][0]["data"]
    assert before["y"] == [1, 2, 2, 2, 2, 1, 1]
    assert after["y"] == [1, 1, 2, 2, 2, 2, 1]


def test_the_card_says_what_changed_and_whether_it_looks_sound(tmp_path: Path) -> None:
    card = shown(tmp_path)["groups"][0]["card"]
    assert card["numbers"] == [["with a face", "11"], ["predictions changed", "11"], ["sure (90%)", "0"]]
    assert card["verdict"] == "no sign of harm, judged without labels"
    assert shown(tmp_path / "kept", kept_source=True)["groups"][0]["card"]["verdict"] == "kept the source model"


def points(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Of t-SNE, of both panels, without the entries of the legend."""
    panels = found["groups"][0]["plots"][0]["panels"]
    return [trace for panel in panels for trace in panel["data"] if trace["x"] != [None]]


def test_points_have_the_class_that_is_predicted(tmp_path: Path) -> None:
    found = shown(tmp_path)
    assert [plot["name"] for plot in found["groups"][0]["plots"]] == ["tsne", "adaptation"]
    happy = [trace for trace in points(found) if trace["name"] == "happiness"]
    names = {
        domain: [sorted(name for name, _ in trace["customdata"]) for trace in happy if trace["meta"] == domain]
        for domain in ("source", "target")
    }
    assert names["target"] == [["album-10.png", "album-3.png"], ["album-2.png", "album-9.png"]]
    assert names["source"] == [["rafdb-3.png"]] * 2


def test_without_the_source_there_are_the_users_pictures_alone(tmp_path: Path) -> None:
    found = points(shown(tmp_path, with_source=False))
    assert {trace["meta"] for trace in found} == {"target"}
    assert sum(len(trace["x"]) for trace in found) == 22


def test_the_users_pictures_are_shown_and_the_sources_only_where_asked_for(tmp_path: Path) -> None:
    found = shown(tmp_path / "without")
    assert set(found["sheets"]) == {"target"}
    assert found["groups"][0]["predictions"]["cell"] == list(range(11))
    assert {cell for trace in points(found) if trace["meta"] == "source" for _, cell in trace["customdata"]} == {-1}
    assert set(shown(tmp_path / "with", pictures=True)["sheets"]) == {"source", "target"}


@pytest.mark.parametrize(
    ("source", "target", "said", "title"),
    [
        ("real", "real", "", "RAF-DB"),
        ("stand-in", "real", "drawings in the layout of RAF-DB, not on photographs", "drawn stand-ins of RAF-DB"),
        ("real", "stand-in", "Measured on drawn stand-ins", "RAF-DB"),
        ("stand-in", "stand-in", "Measured on drawn stand-ins", "drawn stand-ins of RAF-DB"),
    ],
)
def test_the_mark_says_which_pictures_are_drawn(source: Any, target: Any, said: str, title: str) -> None:
    provenance = ProvenancePair(source=source, target=target)
    note = report.note(provenance, "rafdb")
    assert said in note
    assert bool(note) == bool(said)
    assert ("Measured on drawn" in note) == (target == "stand-in")
    assert report.source_title(provenance, "rafdb") == title
