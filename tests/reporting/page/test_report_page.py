"""reports/index.html: what is on it, what is not, and what is refused."""

import base64
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.reporting.page import pictures
from pipeline.reporting.page.document import document
from pipeline.reporting.report import write_report
from tests.reporting.made_results import confusion, metrics, result, write
from tests.reporting.made_results import pictures as pictures_of
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


def traces(plot: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of all panels."""
    return [trace for panel in plot["panels"] for trace in panel["data"]]


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
    f1, confusion, reliability, _, adaptation, accuracy = found["plots"]
    assert [trace["name"] for trace in traces(f1)] == [
        "before: DT, macro F1 0.600 ◊",
        "after: POCAN, macro F1 0.750 ◊",
    ]
    assert traces(f1)[1]["y"] == pytest.approx([0.75] * 7)
    assert traces(confusion)[1]["z"][0][:2] == [0.75, 0.25]
    assert traces(confusion)[1]["text"][0][:3] == ["15", "5", ""]
    assert [(trace["visible"], trace["y"]) for trace in traces(adaptation)] == [
        (True, [2.5, 1.25]),
        ("legendonly", [0.1, 0.05]),
    ]
    assert "λ" in adaptation["note"]
    assert traces(accuracy)[0]["y"] == [60.0, 75.0]
    assert accuracy["panels"][0]["layout"]["yaxis"]["range"] == [58.5, 76.5]
    assert "fitted on the source's test pictures" in reliability["note"]
    bars, errors, counts, _ = reliability["panels"][0]["data"]
    assert (bars["y"], counts["text"]) == ([0.45, 0.87], ["n=40", "n=100"])
    assert bars["x"] == pytest.approx([7.5 / 15, 14.5 / 15])
    assert errors["y"] == pytest.approx([0.05, 0.08])
    hovers = [trace["hovertemplate"] for plot in found["plots"] for trace in traces(plot) if "hovertemplate" in trace]
    assert [hover for hover in hovers if re.search(r"%\{[xyz]:", hover) and "◊" not in hover] == []


def test_of_t_sne_colour_and_shape_tell_the_class_and_an_outline_the_source(project: Path) -> None:
    before, after = group(page_of(project))["plots"][3]["panels"]
    for panel in (before, after):
        points = [trace for trace in panel["data"] if trace["x"] != [None]]
        assert sum(len(trace["x"]) for trace in points) == 280
        styles = {trace["name"]: (trace["marker"]["color"], trace["marker"]["symbol"]) for trace in points[::2]}
        assert len(styles) == len({colour for colour, _ in styles.values()}) == 7
        assert len({symbol for _, symbol in styles.values()}) == 7
        for target, source in zip(points[::2], points[1::2], strict=True):
            assert source["marker"]["symbol"] == f"{target['marker']['symbol']}-open"
            assert (target["meta"], source["meta"]) == ("ckplus", "rafdb")
        assert [trace["name"] for trace in panel["data"] if trace["x"] == [None]] == ["outline: RAF-DB", "filled: CK+"]


def test_results_stand_first_a_card_a_target_and_provenance_is_folded_away_last(project: Path) -> None:
    path = page_of(project)
    card = group(path)["card"]
    assert card["numbers"][:3] == [
        ["before: DT", "60.0 ◊ %"],
        ["after: POCAN", "75.0 ◊ %"],
        ["difference", "+15.0 ◊ points"],
    ]
    assert re.fullmatch(r"\[\+\d+\.\d, \+\d+\.\d\]", card["numbers"][3][1])
    assert (card["verdict"], card["tone"]) == ("better than direct transfer", "good")
    before, after = traces(shown(path)["figure"])
    assert (before["x"], before["y"]) == ([60.0], ["CK+"])
    assert (after["x"], after["error_x"]["array"]) == ([75.0], [pytest.approx(7.0)])
    text = path.read_text(encoding="utf-8").partition('id="data"')[0].partition("<main>")[2]
    order = ['id="cards"', 'id="figure"', ">Measured, target by target<", ">Table 1", 'id="predictions"', "<details>"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    folded = text[places[-1] :]
    assert all(part in folded for part in ("What these numbers are", "Splits", "MLflow run"))
    assert "MLflow run" not in text[: places[-1]]


@pytest.mark.parametrize(
    ("changes", "verdict", "tone"),
    [
        (
            {"after": metrics(confusion(13, 7)), "tested": pictures_of(confusion(12, 8), confusion(13, 7))},
            "better",
            "good",
        ),
        (
            {"after": metrics(confusion(12, 8)), "tested": pictures_of(confusion(12, 8), confusion(12, 8))},
            "no clear",
            "open",
        ),
        (
            {"after": metrics(confusion(2, 18)), "tested": pictures_of(confusion(12, 8), confusion(2, 18))},
            "worse",
            "bad",
        ),
        ({"tested": None}, "no clear difference: there is no interval", "open"),
        ({"method": "dt"}, "not adapted", "open"),
    ],
)
def test_a_verdict_is_what_the_interval_says(tmp_path: Path, changes: dict[str, Any], verdict: str, tone: str) -> None:
    write(tmp_path, result("ckplus", **changes))
    card = group(page_of(tmp_path))["card"]
    assert card["verdict"].startswith(verdict)
    assert card["tone"] == tone


def test_the_card_says_of_how_many_it_is_and_whether_these_were_adapted_to(tmp_path: Path) -> None:
    plain = result("ckplus")
    write(tmp_path / "plain", plain)
    assert group(page_of(tmp_path / "plain"))["card"]["numbers"][4:] == [["test pictures", "140 ◊"]]
    tested = {**plain["tested"], "unit": "subject", "units": [row % 7 for row in range(140)]}
    for shared, told in ((140, "yes ◊"), (12, "12 of them ◊")):
        split = {**plain["split"], "test_in_train": {"picture": shared, "sequence": 0, "subject": 0}}
        write(tmp_path / str(shared), result("ckplus", tested=tested, split=split))
        assert group(page_of(tmp_path / str(shared)))["card"]["numbers"][4:] == [
            ["test pictures", "140 ◊"],
            ["subjects", "7 ◊"],
            ["adapted on its test pictures", told],
        ]


def test_a_search_is_shown_by_configuration(tmp_path: Path) -> None:
    tried = [{"parameters": {"lr": 0.1}, "validations": {}, "accuracy": 0.5, "balanced_accuracy": 0.4}] * 5
    parameters = result("ckplus")["parameters"] | {"adapt.choose": "information", "adapt.search": 5}
    write(tmp_path, result("ckplus", candidates=tried, parameters=parameters))
    losses, accuracy = group(page_of(tmp_path))["plots"][-2:]
    assert losses["title"].startswith("Adaptation by epoch, one configuration after the other")
    assert accuracy["title"].startswith("Accuracy on the test pictures by configuration")
    assert accuracy["panels"][0]["layout"]["xaxis"]["title"]["text"] == "configuration"
    assert accuracy["panels"][0]["data"][0]["hovertemplate"].startswith("configuration %{x}:")


def test_a_picture_of_a_study_is_put_into_the_page_or_named_where_it_is_missing(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2)).save(tmp_path / "there.png")
    html = document("# Title\n\n![one](there.png)\n\n![two](gone.png)\n", tmp_path, [], {})
    body = html.partition('id="data"')[0]
    (uri,) = re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="one"', body)
    assert base64.b64decode(uri) == (tmp_path / "there.png").read_bytes()
    assert "(two: gone.png is not here)" in body


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
    points = traces(found["plots"][3])[0]
    assert points["customdata"][0] == ["000.png", 0]


def test_a_target_without_labels(tmp_path: Path) -> None:
    write_project(tmp_path, "sfew", labels=False)
    found = group(page_of(tmp_path, "sfew"), "sfew")
    assert [plot["name"] for plot in found["plots"]] == ["tsne", "adaptation"]
    assert found["predictions"]["note"] == "140 pictures, none with a label"
    assert set(found["predictions"]["label"]) == {-1}
    assert found["card"]["verdict"] == "no sign of harm, judged without labels"


def test_without_the_data_of_dvc_the_page_says_what_is_left_out(project: Path) -> None:
    shutil.rmtree(project / "data")
    found = group(page_of(project))
    assert found["predictions"] is None
    assert "data/predictions/ckplus.csv or its crops are not here; dvc pull" in found["missing"]
    assert traces(found["plots"][3])[0]["customdata"][0] == ["picture 0", -1]
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
