"""faces.md: every number, its mark, its links; and the folder of sheets, which is whole at any time."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from pipeline.errors import DatasetError
from pipeline.reporting import contact_sheet
from pipeline.reporting.contact_sheet import FALLBACKS_A_PAGE
from pipeline.reporting.faces_report import write_faces_report
from tests.reporting.test_contact_sheet import mtcnn, other, write_store

HEAD = ["Pictures", "Crops", "Unreadable", "MTCNN", "Haar", "Whole", "Given"]
HEAD += ["Detection rate (%)", "Turned", "Several faces", "Median score", "Median sharpness"]
MIXED = [mtcnn(0.98, 250.0), mtcnn(0.9, 1250.5) | {"faces": 3}, other("haar", 90.0), other("whole", 30.0)]
MIXED += [mtcnn(0.94, 1250.5)] * 2


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    return tmp_path / "reports"


def text_of(reports: Path, **stores: Path) -> str:
    write_faces_report(stores, reports / "faces.md", reports / "contact-sheets")
    return (reports / "faces.md").read_text(encoding="utf-8")


def cells(text: str, title: str) -> list[str]:
    """The cells after ``title`` of the one table row that begins with it."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"]
    (found,) = [row[1:] for row in rows if row[0] == title]
    return found


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def links(text: str) -> list[str]:
    return [unquote(link) for link in re.findall(r"\]\(([^)]*)\)", text)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_numbers_of_a_real_set(tmp_path: Path, reports: Path) -> None:
    text = text_of(reports, rafdb=write_store(tmp_path / "s", MIXED, unreadable={"a.png": "a.png: the file is empty"}))
    assert cells(text, "Data set") == HEAD
    expected = ["7", "6", "1", "4", "1", "1", "0", "66.67", "0", "1", "0.9400", "750.2"]
    assert cells(text, "RAF-DB") == expected
    assert "◊" not in text
    assert "stand-in" not in text


def test_only_a_project_is_told_where_dvc_keeps_the_sheets(tmp_path: Path, reports: Path) -> None:
    store = write_store(tmp_path / "s", MIXED)
    assert "dvc" not in text_of(reports, rafdb=store)
    write_faces_report({"rafdb": store}, reports / "faces.md", reports / "contact-sheets", in_project=True)
    assert "`dvc pull` or `dvc repro` fetches them" in (reports / "faces.md").read_text(encoding="utf-8")


def test_pages_of_fallbacks_end_somewhere(tmp_path: Path, reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_sheet, "MOST_PAGES", 1)
    store = write_store(tmp_path / "s", [mtcnn()] * 3 + [other("haar")] * (FALLBACKS_A_PAGE + 1))
    text = text_of(reports, rafdb=store)
    assert "The first 600: [page 1](contact-sheets/rafdb-fallbacks-1.png)." in text
    assert names(reports / "contact-sheets") == ["rafdb-fallbacks-1.png", "rafdb.png"]
    assert "`3.png` (row 3): Haar cascade" in text


def test_every_number_of_a_stand_in_set_is_marked(tmp_path: Path, reports: Path) -> None:
    rows = MIXED + [other("haar", 1.0)] * 25
    drawn = write_store(tmp_path / "drawn", rows, "stand-in", {f"{index}.jpg": "broken" for index in range(1022)})
    text = text_of(reports, ckplus=drawn, jaffe=write_store(tmp_path / "real", MIXED))
    assert cells(text, "CK+")[:5] == ["1,053 ◊", "31 ◊", "1,022 ◊", "4 ◊", "26 ◊"]
    assert all(re.fullmatch(r"[\d.,]+ ◊", cell) for cell in cells(text, "CK+"))
    assert not any("◊" in cell for cell in cells(text, "JAFFE"))
    assert "\n\n◊ Measured on drawn stand-ins: never comparable with the other numbers.\n\n" in text
    part = section(text, "CK+")
    assert "Haar cascade 26 ◊; no face found, whole picture 1 ◊." in part
    assert "**Unreadable**: 1,022 ◊." in part
    assert "and 1,002 ◊ more" in part
    assert "and 7 ◊ more" in part
    assert "◊" not in section(text, "JAFFE")


def test_missing_values_are_dashes_without_mark(tmp_path: Path, reports: Path) -> None:
    aligned = write_store(tmp_path / "s", [other("given", 4.0)] * 2, "stand-in")
    row = dict(zip(HEAD, cells(text_of(reports, rafdb=aligned), "RAF-DB"), strict=True))
    assert (row["Detection rate (%)"], row["Median score"]) == ("–", "–")
    assert (row["Given"], row["Median sharpness"]) == ("2 ◊", "4.0 ◊")


def test_sets_come_in_the_given_order_with_their_titles(tmp_path: Path, reports: Path) -> None:
    store = write_store(tmp_path / "s", MIXED)
    text = text_of(reports, sfew=store, my_faces=store, ckplus48=store)
    assert re.findall("^## (.*)$", text, re.MULTILINE) == ["SFEW 2.0", r"my\_faces", "CK+48"]
    assert text.index("| SFEW 2.0 |") < text.index("| my_faces |") < text.index("| CK+48 |")


def test_all_table_rows_have_the_width_of_their_head(tmp_path: Path, reports: Path) -> None:
    store = write_store(tmp_path / "s", MIXED, "stand-in")
    rows = [line for line in text_of(reports, rafdb=store, jaffe=store).splitlines() if line.startswith("|")]
    assert len(rows) == 4
    assert {row.count("|") for row in rows} == {14}


@pytest.mark.slow
def test_links_are_relative_and_lead_to_all_files_written(tmp_path: Path) -> None:
    store = write_store(tmp_path / "s", [other("whole")] * 601 + [mtcnn()])
    report, sheets = tmp_path / "reports/faces.md", tmp_path / "für alle/contact sheets"
    written = write_faces_report({"rafdb": store, "jaffe": store}, report, sheets)
    text = report.read_text(encoding="utf-8")
    assert written[0] == report
    assert sorted(written[1:]) == sorted(sheets.iterdir())
    assert len(written) == 7
    assert [(report.parent / link).resolve() for link in links(text)] == written[1:]
    assert all(link.startswith("../für alle/contact sheets/") for link in links(text))
    assert " " not in "".join(re.findall(r"\]\(([^)]*)\)", text))
    assert "![Contact sheet: RAF-DB](" in text
    assert section(text, "JAFFE").count("[page 2](") == 1


def test_first_files_are_named_then_the_file_that_names_all(tmp_path: Path, reports: Path) -> None:
    rows = [other("whole") | {"key": f"w{index}.png"} for index in range(15)]
    rows += [other("haar") | {"key": f"h{index}.png"} for index in range(10)]
    unreadable = {f"u{index}.png": f"u{index}.png: truncated" for index in range(23)}
    store = write_store(tmp_path / "s", rows, unreadable=unreadable)
    items = [line for line in section(text_of(reports, rafdb=store), "RAF-DB").splitlines() if line.startswith("- ")]
    haar = [f"- `h{index}.png` (row {15 + index}): Haar cascade" for index in range(10)]
    whole = [f"- `w{index}.png` (row {index}): no face found, whole picture" for index in range(10)]
    rest = f"- and 5 more: `{store.as_posix()}/manifest.parquet`"
    assert items[:21] == [*haar, *whole, rest]
    broken = [f"- `u{index}.png`: truncated" for index in range(20)]
    assert items[21:] == [*broken, f"- and 3 more: `{store.as_posix()}/store.json`"]


def test_short_lists_have_no_rest_and_no_files_no_list(tmp_path: Path, reports: Path) -> None:
    few = write_store(tmp_path / "few", [other("haar")] * 20)
    none = write_store(tmp_path / "none", [mtcnn()])
    text = text_of(reports, rafdb=few, jaffe=none)
    assert section(text, "RAF-DB").count("\n- ") == 20
    assert "more:" not in text
    assert section(text, "JAFFE").strip() == "![Contact sheet: JAFFE](contact-sheets/jaffe.png)"


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("Fröhlich/Müller 笑.png", "`Fröhlich/Müller 笑.png`"),
        ("a|b.png", "`a|b.png`"),
        ("it`s.png", "``it`s.png``"),
        ("`both``.png`", "``` `both``.png` ```"),
        ("two\nlines.png", r"`two\nlines.png`"),
        ("<b>*_.png", "`<b>*_.png`"),
    ],
)
def test_any_file_name_is_shown_as_it_is(tmp_path: Path, reports: Path, key: str, shown: str) -> None:
    store = write_store(tmp_path / "s", [other("haar") | {"key": key}], unreadable={key: f"{key}: <no> *picture*"})
    text = text_of(reports, rafdb=store)
    assert f"\n- {shown} (row 0): Haar cascade\n" in text
    assert f"\n- {shown}: \\<no\\> \\*picture\\*\n" in text


def test_nothing_of_an_earlier_run_stays(tmp_path: Path, reports: Path) -> None:
    large, small = write_store(tmp_path / "large", [other("haar")] * 601), write_store(tmp_path / "small", MIXED)
    text_of(reports, rafdb=large, jaffe=large)
    assert len(names(reports / "contact-sheets")) == 6
    text_of(reports, rafdb=small)
    assert names(reports / "contact-sheets") == ["rafdb-fallbacks-1.png", "rafdb.png"]
    assert names(reports) == ["contact-sheets", "faces.md"]


def test_failed_run_leaves_the_earlier_one_as_it_was(tmp_path: Path, reports: Path) -> None:
    good, broken = write_store(tmp_path / "good", MIXED), write_store(tmp_path / "broken", MIXED)
    text_of(reports, jaffe=good)
    before = {path: path.read_bytes() for path in reports.rglob("*") if path.is_file()}
    (broken / "store.json").unlink()
    with pytest.raises(DatasetError, match=r"store\.json: missing"):
        text_of(reports, rafdb=good, jaffe=broken)
    assert {path: path.read_bytes() for path in reports.rglob("*") if path.is_file()} == before
    assert names(reports) == ["contact-sheets", "faces.md"]


def test_failed_swap_puts_the_earlier_sheets_back(
    tmp_path: Path, reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = write_store(tmp_path / "s", MIXED)
    text_of(reports, jaffe=store)
    rename = Path.rename

    def fail_on_new(self: Path, target: Any) -> Path:
        if self.name.endswith(".new"):
            raise OSError("the disk is gone")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_on_new)
    with pytest.raises(OSError, match="the disk is gone"):
        text_of(reports, rafdb=store)
    assert names(reports / "contact-sheets") == ["jaffe-fallbacks-1.png", "jaffe.png"]
    assert names(reports) == ["contact-sheets", "faces.md"]


def test_what_a_killed_run_left_is_cleared_away(tmp_path: Path, reports: Path) -> None:
    """Killed between its two renames: the earlier sheets are the old ones, and come back if this run fails too."""
    store = write_store(tmp_path / "s", MIXED)
    text_of(reports, jaffe=store)
    (reports / "contact-sheets").rename(reports / ".contact-sheets.old")
    (reports / ".contact-sheets.new").mkdir()
    (reports / ".contact-sheets.new/half.png").touch()
    with pytest.raises(DatasetError):
        text_of(reports, jaffe=tmp_path / "missing")
    assert names(reports / "contact-sheets") == ["jaffe-fallbacks-1.png", "jaffe.png"]
    text_of(reports, rafdb=store)
    assert names(reports / "contact-sheets") == ["rafdb-fallbacks-1.png", "rafdb.png"]
    assert names(reports) == ["contact-sheets", "faces.md"]


def test_same_stores_same_bytes(tmp_path: Path) -> None:
    store = write_store(tmp_path / "s", MIXED, "stand-in")
    first, second = (
        [path.read_bytes() for path in write_faces_report({"jaffe": store}, at / "faces.md", at / "contact-sheets")]
        for at in (tmp_path / "a", tmp_path / "b")
    )
    assert first == second
