"""The page in a real browser without a network: opened, sorted, filtered, pointed at; light and dark."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageColor

from tests.own_pictures import test_page
from tests.reporting.page.made_project import (
    CONFIDENCE,
    HOSTILE,
    LABELS,
    PREDICTED,
    page_of,
    write_project,
    write_study,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

SCROLLBAR = 15
"""Pixels of the window's width that Chromium's scrollbar takes."""

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[dev]'")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("there is no Chromium here: apt install chromium")
    with playwright.sync_playwright() as driver:
        # Playwright hides scrollbars; those of most computers take width from the page.
        started = driver.chromium.launch(executable_path=path, ignore_default_args=["--hide-scrollbars"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    write_project(root)
    return page_of(root)


class Opened:
    """Opens pages for one test, and keeps what they say to the console and which files they ask for."""

    def __init__(self, browser: "Browser") -> None:
        self.browser = browser
        self.files: set[str] = set()
        self.said: list[str] = []
        self.asked: set[str] = set()

    def __call__(self, path: Path, scheme: Any = "light", width: int = 1280, height: int = 800) -> "Page":
        size: Any = {"width": width, "height": height}
        page = self.browser.new_context(color_scheme=scheme, offline=True, viewport=size).new_page()
        page.set_default_timeout(60_000)  # other tests may run beside it
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.asked.add(request.url.partition(",")[0]))
        self.files.add(path.as_uri())
        page.goto(path.as_uri())
        page.wait_for_function("document.querySelectorAll('.plot .main-svg').length > 0")
        return page


@pytest.fixture
def opened(browser: "Browser") -> Iterator[Opened]:
    pages = Opened(browser)
    yield pages
    for context in browser.contexts:
        context.close()
    assert pages.said == []
    assert pages.asked - {"data:image/jpeg;base64", "data:image/png;base64"} == pages.files


def column(page: "Page", title: str, number: int) -> list[str]:
    """The cells of a column of the table below the heading that begins so."""
    script = """([title, number]) => {
        let table = [...document.querySelectorAll("h2")].find((head) => head.textContent.startsWith(title));
        while (table.tagName !== "TABLE") table = table.nextElementSibling;
        return [...table.tBodies[0].rows].map((row) => row.cells[number].textContent.trim());
    }"""
    cells: list[str] = page.evaluate(script, [title, number])
    return cells


def lightness(colour: str) -> int:
    return sum(ImageColor.getrgb(colour)[:3])


def colours(page: "Page") -> tuple[int, int, int]:
    """Of the page, of its text and of the text of its first plot."""
    body = "getComputedStyle(document.body)"
    text = "getComputedStyle(document.querySelector('.plot .xtick text')).fill"
    paper, ink, drawn = map(page.evaluate, (f"{body}.backgroundColor", f"{body}.color", text))
    return lightness(paper), lightness(ink), lightness(drawn)


def test_light_and_dark_are_readable_and_change_while_open(opened: Opened, written: Path) -> None:
    page = opened(written)
    paper, ink, drawn = colours(page)
    assert paper - ink > 450
    assert paper - drawn > 450
    page.emulate_media(color_scheme="dark")
    paper, ink, drawn = colours(page)
    assert ink - paper > 450
    assert drawn - paper > 450
    assert page.locator(".plot").count() == 7


def test_a_table_is_sorted_within_its_groups_and_back(opened: Opened, written: Path) -> None:
    page = opened(written)
    before = column(page, "Table 1", 3)
    names = column(page, "Table 1", 0)
    heads = [place for place, name in enumerate(names) if ":" in name or name == "measured by this run"]
    assert heads[0] == 0
    button = page.locator("th", has_text="CK+").first.get_by_role("button")
    button.click()
    falling = column(page, "Table 1", 3)
    assert falling[1:9] == ["88.7", "88.58", "86.49", "84.5", "78.83", "73.91", "64.20", "-"]
    assert falling[-2:] == ["75.0 ◊ [68.0, 82.0], balanced 75.0 ◊", "60.0 ◊ [52.0, 68.0], balanced 60.0 ◊"]
    after = column(page, "Table 1", 0)
    assert [after[place] for place in heads] == [names[place] for place in heads]
    button.click()
    assert column(page, "Table 1", 3)[1:9] == ["64.20", "73.91", "78.83", "84.5", "86.49", "88.58", "88.7", "-"]
    button.click()
    assert (column(page, "Table 1", 3), column(page, "Table 1", 0)) == (before, names)


def require_room(page: "Page", width: int) -> int:
    """Nothing runs off the page, which has a scrollbar in a window of this width; returns what is left of it."""
    room: int = page.evaluate("document.documentElement.clientWidth")
    assert room == width - SCROLLBAR
    assert page.evaluate("document.documentElement.scrollWidth") == room
    right = "(found) => found.map((one) => one.getBoundingClientRect().right)"
    panels, plots = (page.locator(f".panel{each}").evaluate_all(right) for each in ("", " .main-svg:first-child"))
    assert len(panels) == len(plots) > 0
    assert all(plot <= panel < room for plot, panel in zip(plots, panels, strict=True))
    return room


def test_the_report_on_own_pictures_fits_a_telephone(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text(test_page.written(tmp_path, with_source=False), encoding="utf-8")
    page = opened(path, width=390, height=3000)  # so tall that there is something to scroll only once all is drawn
    require_room(page, 390)


@pytest.mark.parametrize("width", [1280, 390])
def test_a_report_with_studies_fits_the_page_and_shows_their_pictures(
    opened: Opened, tmp_path: Path, width: int
) -> None:
    write_project(tmp_path)
    write_study(tmp_path)
    page = opened(page_of(tmp_path), width=width)
    room = require_room(page, width)
    picture = page.get_by_alt_text("Two")
    assert picture.evaluate("(image) => [image.complete, image.naturalWidth]") == [True, 1600]
    box = picture.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= room
    if width == 1280:
        for table in page.locator("#tables table").all():
            assert table.evaluate("(table) => table.scrollWidth <= table.clientWidth")
    title = page.locator("td", has_text="measured by pocan study two")
    assert title.get_attribute("colspan") == "7"


def test_a_card_chooses_its_target_and_the_contents_unfold_what_is_closed(opened: Opened, written: Path) -> None:
    page = opened(written)
    page.locator("#group").select_option(index=1)
    page.locator(".card", has_text="CK+").click()
    assert page.locator("#group").input_value() == "0"
    assert page.locator("#confusion .main-svg").first.is_visible()
    assert page.get_by_text("Rows marked measured come").is_hidden()
    page.locator("nav a", has_text="What these numbers are").click()
    assert page.get_by_text("Rows marked measured come").is_visible()


def test_on_paper_everything_is_unfolded_and_light(opened: Opened, written: Path) -> None:
    page = opened(written, "dark")
    page.emulate_media(media="print", color_scheme="light")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.get_by_text("Rows marked measured come").is_visible()
    assert page.locator("nav").is_hidden()
    paper, ink, drawn = colours(page)
    assert paper - ink > 450
    assert paper - drawn > 450


def test_predictions_are_filtered_by_confidence_and_outcome(opened: Opened, written: Path) -> None:
    page = opened(written)
    rows = page.locator("#predictions tbody tr")
    assert rows.count() == 140
    page.get_by_label("Confidence from").fill("0.9")
    sure = [row for row in range(140) if CONFIDENCE[row] >= 0.9]
    right = [row for row in sure if PREDICTED[row] == LABELS[row]]
    told = f"{len(sure)} of 140 pictures; {100 * len(right) / len(sure):.1f} ◊ % of those with a label are right"
    assert page.locator("#count").inner_text() == told
    assert rows.count() == len(sure)
    assert rows.first.inner_text().split("\t")[2] == f"{CONFIDENCE[sure[0]]:.3f} ◊"
    page.get_by_label("Outcome").select_option("wrong")
    assert rows.count() == len(sure) - len(right)
    page.locator("#predictions th", has_text="Confidence").get_by_role("button").click()
    shown = [float(text.split()[0]) for text in page.locator("#predictions td:nth-child(3)").all_inner_texts()]
    assert shown == sorted(shown, reverse=True)
    page.get_by_label("Confidence from").fill("0")
    page.get_by_label("Outcome").select_option("")
    page.get_by_label("File").fill("</SCRIPT>")
    assert page.locator("#predictions td:first-child").all_inner_texts() == [HOSTILE]


def test_the_source_model_is_shown_when_chosen(opened: Opened, written: Path) -> None:
    page = opened(written)
    page.locator("#group").select_option(label="RAF-DB: training of the source model")
    page.wait_for_selector("#prototypes .main-svg")
    assert page.locator(".plot").count() == 3
    assert page.locator("#filter").is_hidden()
    assert page.locator("#predictions-note").inner_text() == "Choose a target to see its predictions."


def test_what_needs_labels_is_hidden_without_them(opened: Opened, tmp_path: Path) -> None:
    write_project(tmp_path, "sfew", labels=False)
    page = opened(page_of(tmp_path, "sfew"))
    assert page.get_by_label("Confidence from").is_visible()
    assert page.get_by_label("Outcome").is_hidden()
    assert page.locator("#count").inner_text() == "140 of 140 pictures"
    assert page.locator("#predictions tbody tr").first.inner_text().split("\t") == ["000.png", "disgust", "0.300 ◊"]


def test_a_row_has_its_picture_where_the_page_has_pictures(opened: Opened, tmp_path: Path, written: Path) -> None:
    write_project(tmp_path)
    page = opened(page_of(tmp_path, pictures=True))
    for row in (3, 120):
        shown = page.locator("#predictions tbody tr").nth(row).locator(".face")
        pixels = Image.open(io.BytesIO(shown.screenshot()))
        level = pixels.convert("L").getpixel((28, 28))
        assert isinstance(level, int)
        assert abs(level - row) <= 3
    page = opened(written)
    assert page.locator(".face").count() == 0


def test_changed_pictures_are_chosen_with_their_faces(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text(test_page.written(tmp_path, with_source=False, same=4), encoding="utf-8")
    page = opened(path)
    rows = page.locator("#predictions tbody tr")
    assert rows.count() == 11
    page.get_by_label("Expression").select_option("changed")
    assert rows.count() == 10
    assert rows.locator(".face").count() == 10
    assert rows.first.inner_text().split("\n")[-1] == "was disgust 0.700"
    assert "album-4.png" not in page.locator("#predictions").inner_text()
