"""What to label next: doubt, novelty and balance; the list, the page's data, and the page in a real browser."""

import csv
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.labels import EXPRESSIONS
from pipeline.own_pictures.next_labels import LabelQuery, html, most_telling, table
from tests.stores import flat, write_store

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROWS = np.arange(10, 16)
Z = np.eye(6)


def probabilities(*pairs: tuple[int, float]) -> np.ndarray:
    """Of each picture the class that is predicted and its probability; the others share the rest."""
    found = np.empty((len(pairs), 7))
    for row, (label, share) in zip(found, pairs, strict=True):
        row[:] = (1 - share) / 6
        row[label] = share
    return found


def test_doubtful_pictures_come_first_and_classes_in_turn() -> None:
    p = probabilities((0, 0.9), (0, 0.3), (0, 0.5), (3, 0.9), (3, 0.4), (5, 0.95))
    asked = most_telling(ROWS, p, Z, {})
    assert [one.row for one in asked] == [11, 14, 15, 12, 13, 10]
    assert [one.first for one in asked] == [0, 3, 5, 0, 3, 0]
    assert asked[0].confidence == pytest.approx(0.3)
    assert [one.row for one in most_telling(ROWS, p, Z, {}, count=2)] == [11, 14]


def test_what_is_labelled_is_not_asked_for_and_its_class_waits() -> None:
    p = probabilities((0, 0.9), (0, 0.3), (0, 0.5), (3, 0.9), (3, 0.4), (5, 0.95))
    asked = most_telling(ROWS, p, Z, {10: 0, 14: 3, 15: 3})
    assert [one.row for one in asked] == [11, 12, 13]  # 0 has one label, 3 has two
    assert most_telling(ROWS, p, Z, {int(row): 0 for row in ROWS}) == []


def test_of_like_pictures_one_is_asked_for_before_others() -> None:
    p = probabilities((0, 0.30), (0, 0.31), (0, 0.6), (0, 0.7), (0, 0.8), (0, 0.9))
    z = np.eye(6)
    z[1] = z[0]
    assert [one.row for one in most_telling(ROWS, p, z, {})] == [10, 12, 13, 14, 15, 11]
    assert most_telling(ROWS, p, z, {10: 0})[-1].row == 11


def test_the_list_has_a_column_to_fill_in(tmp_path: Path) -> None:
    store = write_store(tmp_path / "crops", [flat(50 * row) for row in range(3)], manifest(3), "album")
    found = table([LabelQuery(2, 3, 4, 0.4), LabelQuery(0, 1, 3, 0.51234)], store)
    assert found.columns.tolist() == ["picture", "expression", "predicted", "confidence", "second"]
    assert found["picture"].tolist() == ["c<b>, 2.png", "c<b>, 0.png"]
    assert found["expression"].tolist() == ["", ""]
    assert found["predicted"].tolist() == ["happiness", "disgust"]
    assert found["confidence"].tolist() == [0.4, 0.512]


def manifest(count: int) -> list[dict[str, object]]:
    return [{"key": f"c<b>, {row}.png", "method": "mtcnn"} for row in range(count)]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    store = write_store(tmp_path / "crops", [flat(40 * row) for row in range(5)], manifest(5), "album")
    page = tmp_path / "label.html"
    asked = [LabelQuery(row, row % 7, 6, 0.4) for row in (4, 2, 1)]
    page.write_text(html("my <album>", asked, store, {0: 6}), encoding="utf-8")
    return page


def test_the_page_may_ask_the_network_for_nothing_and_names_the_pictures(written: Path) -> None:
    page = written.read_text(encoding="utf-8")
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">\n<head>\n')
    assert page.count("<head>") == page.count("default-src 'none'") == 1
    assert "<title>my &lt;album&gt;: label faces</title>\n<style>" in page
    data = page.partition('type="application/json">')[2].partition("</script>")[0]
    assert json.loads(data)["faces"][0]["picture"] == "c<b>, 4.png"


@pytest.mark.browser
def test_faces_are_labelled_by_keys_and_saved_in_a_real_browser(written: Path, tmp_path: Path) -> None:
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[dev]'")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("there is no Chromium here: apt install chromium")
    with driver.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium)
        page = browser.new_context(offline=True, accept_downloads=True).new_page()
        said: list[str] = []
        asked: set[str] = set()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.add(request.url.partition(":")[0]))
        page.set_default_timeout(60_000)
        page.goto(written.as_uri())
        label_by_keys(page)
        with page.expect_download() as download:
            page.get_by_role("button", name="Save labels.csv").click()
        download.value.save_as(tmp_path / "labels.csv")
        page.reload()  # a closed tab loses nothing
        assert "2 labelled here" in page.locator("#count").inner_text()
        browser.close()
    with (tmp_path / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    given = ["c<b>, 0.png", "neutral"]
    assert rows == [["picture", "expression"], given, ["c<b>, 4.png", "happiness"], ["c<b>, 1.png", "anger"]]
    assert said == []
    assert asked <= {"file", "data", "blob"}


def label_by_keys(page: "Page") -> None:
    """The first face by a key, the second one passed over, the third by a click after a wrong key was taken back."""
    assert page.title() == "my <album>: label faces"
    assert page.locator("#keys button").all_inner_texts() == [f"{n}{name}" for n, name in enumerate(EXPRESSIONS, 1)]
    assert page.locator("#name").inner_text() == "c<b>, 4.png"  # the guess would lead the label
    page.keyboard.press("4")
    assert page.locator("#name").inner_text() == "c<b>, 2.png"
    page.keyboard.press("ArrowLeft")
    assert page.locator("#name").inner_text() == "c<b>, 4.png (the model says sadness)"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("7")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#keys [aria-pressed=true]").inner_text() == "7neutral"
    page.keyboard.press("7")
    assert page.locator("#keys [aria-pressed=true]").count() == 0
    page.keyboard.press("Space")
    page.get_by_role("button", name="anger").click()
    assert "2 labelled here, 1 given before" in page.locator("#count").inner_text()
