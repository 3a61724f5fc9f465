"""reports/index.html: what is on it, what is not, and what is refused."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.errors import PipelineError
from pipeline.reporting.page import pictures
from pipeline.reporting.report import write_report
from tests.reporting.page.made_project import (
    CONFIDENCE,
    HOSTILE,
    KEYS,
    LABELS,
    PREDICTED,
    page_of,
    params,
    write_project,
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_project(tmp_path)
    return tmp_path


class Reader(HTMLParser):
    """The text of the element ``data``, the names of all elements, and whatever an attribute points to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.inside = False
        self.data = ""
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.inside = values.get("id") == "data"
        self.tags.append(tag)
        self.links += [value for key, value in attrs if key in ("src", "href") and value is not None]

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.data += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = False


def shown(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Reader(path).data)
    return found


def group(path: Path, name: str = "ckplus") -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in shown(path)["groups"] if one["name"] == name)
    return found


def test_the_page_needs_nothing_but_itself(project: Path) -> None:
    found = Reader(page_of(project))
    assert "img" not in found.tags
    assert "link" not in found.tags
    assert found.links
    assert [link for link in found.links if not link.startswith("#")] == []


@pytest.mark.slow
def test_the_tables_are_those_of_the_report(project: Path) -> None:
    write_report(params(), project)
    text = (project / "reports/index.html").read_text(encoding="utf-8")
    rows = [line for line in (project / "reports/tables.md").read_text().splitlines() if line.startswith("| CK+ | ")]
    assert len(rows) >= 5
    for row in rows:
        cells = row.strip("| ").split(" | ")
        assert re.search(r"\s*".join(rf"<td[^>]*>{re.escape(cell)}</td>" for cell in cells), text), row
    assert "## Figures" not in text
    assert ">Figures<" not in text


def test_a_target_has_its_plots_and_numbers_with_the_mark(project: Path) -> None:
    found = group(page_of(project))
    names = ["f1", "confusion", "reliability", "tsne", "adaptation", "accuracy"]
    assert [plot["name"] for plot in found["plots"]] == names
    assert found["mark"] == " ◊"
    assert found["note"].startswith("◊ drawn stand-ins")
    f1, confusion, _, tsne, adaptation, accuracy = found["plots"]
    assert [trace["name"] for trace in f1["data"]] == [
        "before: DT, macro F1 0.600 ◊",
        "after: POCAN, macro F1 0.750 ◊",
    ]
    assert f1["data"][1]["y"] == pytest.approx([0.75] * 7)
    assert confusion["data"][1]["z"][0][:2] == [0.75, 0.25]
    assert confusion["data"][1]["text"][0][:3] == ["15", "5", ""]
    assert sum(len(trace["x"]) for trace in tsne["data"]) == 2 * 280
    assert {trace["marker"]["symbol"] for trace in tsne["data"]} == {"circle", "triangle-up"}
    assert [(trace["name"], trace["visible"], trace["y"]) for trace in adaptation["data"]] == [
        ("loss", True, [2.5, 1.25]),
        ("lr", "legendonly", [0.1, 0.05]),
    ]
    assert accuracy["data"][0]["y"] == [0.6, 0.75]
    hovers = [trace["hovertemplate"] for plot in found["plots"] for trace in plot["data"] if "hovertemplate" in trace]
    assert [hover for hover in hovers if re.search(r"%\{[xyz]:", hover) and "◊" not in hover] == []


def test_predictions_have_file_label_and_confidence(project: Path) -> None:
    found = group(page_of(project))["predictions"]
    assert found["picture"] == KEYS
    assert found["expression"] == PREDICTED
    assert found["label"] == LABELS
    assert found["confidence"] == pytest.approx(CONFIDENCE)
    assert found["note"] == "140 test pictures"
    assert found["cell"] == []


def test_of_many_pictures_some_are_drawn(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PREDICTIONS", 50)
    found = group(page_of(project))["predictions"]
    assert found["note"] == "50, drawn at random, of 140 test pictures"
    assert len(set(found["picture"])) == 50
    assert found["label"] == [LABELS[KEYS.index(key)] for key in found["picture"]]


def test_the_source_model_has_its_curves(project: Path) -> None:
    found = group(page_of(project), "rafdb")
    assert [plot["name"] for plot in found["plots"]] == ["pretrain", "prototypes"]
    assert (found["mark"], found["predictions"]) == (" ◊", None)


def test_pictures_are_there_only_where_asked_for(project: Path) -> None:
    path = page_of(project)
    assert shown(path)["sheets"] == {}
    assert "data:image/jpeg" not in path.read_text(encoding="utf-8").partition("<script>")[0]
    path = page_of(project, pictures=True)
    assert set(shown(path)["sheets"]) == {"rafdb", "ckplus"}
    found = group(path)
    assert found["predictions"]["cell"] == list(range(140))
    points = found["plots"][3]["data"][0]
    assert points["customdata"][0] == ["000.png", 0]


def test_a_target_without_labels(tmp_path: Path) -> None:
    write_project(tmp_path, "sfew", labels=False)
    found = group(page_of(tmp_path, "sfew"), "sfew")
    assert [plot["name"] for plot in found["plots"]] == ["tsne", "adaptation"]
    assert found["predictions"]["note"] == "140 pictures, none with a label"
    assert set(found["predictions"]["label"]) == {-1}


def test_without_the_data_of_dvc_the_page_says_what_is_left_out(project: Path) -> None:
    shutil.rmtree(project / "data")
    found = group(page_of(project))
    assert found["predictions"] is None
    assert "data/predictions/ckplus.csv or its crops are not here; dvc pull" in found["missing"]
    assert found["plots"][3]["data"][0]["customdata"][0] == ["picture 0", -1]
    with pytest.raises(PipelineError, match=r"data/crops/rafdb/crops\.npy: missing"):
        page_of(project, pictures=True)


def test_names_of_files_are_text(project: Path) -> None:
    path = page_of(project)
    assert HOSTILE in group(path)["predictions"]["picture"]
    assert HOSTILE not in path.read_text(encoding="utf-8")


def test_predictions_of_other_pictures_are_refused_and_nothing_is_written(project: Path) -> None:
    path = project / "data/predictions/ckplus.csv"
    pd.read_csv(path).iloc[1:].to_csv(path, index=False)
    with pytest.raises(PipelineError, match=r"ckplus\.csv: of other pictures than .*; run dvc repro evaluate@ckplus"):
        write_report(params(), project)
    assert not (project / "reports/tables.md").exists()


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        ("picture,", "pict\0re,", r"ckplus\.csv: the file is damaged \("),
        (",0.3\n", ",0.3x\n", r"ckplus\.csv: the file is damaged \("),
        (",sadness,", ",sagness,", r"ckplus\.csv: damaged \(an unknown expression\); run dvc repro evaluate@ckplus"),
    ],
)
def test_damaged_predictions_are_named(project: Path, was: str, becomes: str, message: str) -> None:
    path = project / "data/predictions/ckplus.csv"
    text = path.read_text()
    assert was in text
    path.write_text(text.replace(was, becomes, 1))
    with pytest.raises(PipelineError, match=message):
        page_of(project)


def test_points_of_other_pictures_are_refused(project: Path) -> None:
    path = project / "reports/evaluate/ckplus/tsne.csv"
    path.write_text(path.read_text() + "after,source,140,0,0.0,0.0\n")
    with pytest.raises(PipelineError, match=r"tsne\.csv: of other pictures than .*rafdb; run dvc repro"):
        page_of(project)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "missing; run dvc repro adapt@ckplus"),
        ("epoch,loss\n1,high\n", "damaged ("),
        ("step,loss\n1,2\n", "damaged (no column epoch)"),
    ],
)
def test_a_faulty_curve_is_named(project: Path, text: str | None, message: str) -> None:
    path = project / "reports/curves/adapt-ckplus.csv"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(PipelineError) as fault:
        page_of(project)
    assert str(fault.value).startswith(f"{path}: {message}")


def test_nothing_is_drawn_where_nothing_was_trained(project: Path) -> None:
    (project / "reports/curves/adapt-ckplus.csv").write_text("epoch,loss\n")
    assert "adaptation" not in [plot["name"] for plot in group(page_of(project))["plots"]]
