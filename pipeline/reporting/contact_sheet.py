"""Contact sheets: a crop store as pictures, so that a person can judge it at a glance.

One sheet shows a random sample, the faces MTCNN was least sure of and the most blurred crops; further pages show the
crops in which MTCNN found no face, on ``MOST_PAGES`` pages at most. Crops are read one by one by memory map: memory
does not grow with the store, but for three numbers a crop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.data.crops import read_description
from pipeline.errors import DatasetError
from pipeline.files.atomic import atomic_path
from pipeline.files.io import read_array, read_parquet
from pipeline.reporting.figures import WARNING_COLOUR

RANDOM_CROPS = 40
EXTREME_CROPS = 20
"""Crops shown of the lowest scores, and of the least sharp."""

FALLBACKS_A_PAGE = 600
MOST_PAGES = 20
"""Pages of fallbacks: nobody looks through more, and of an archive there would be thousands."""

FALLBACK_TITLES = {"haar": "Haar cascade", "whole": "no face found, whole picture"}
"""The methods whose crops are shown on further pages, in the order of these."""

MARGIN = 24
HEADER_HEIGHT = 70
SECTION_HEIGHT = 34
BACKGROUND, INK, PALE, LINE = "#FFFFFF", "#222222", "#6E6E6E", "#D5D5D5"
DRAWN = "drawn stand-ins"


@dataclass(frozen=True)
class Grid:
    """How thumbnails lie.

    Attributes:
        side: of a thumbnail, in pixels.
        gap: between two of them, in pixels.
        columns: thumbnails in a row.
        text: size of the captions below them, in pixels.
    """

    side: int
    gap: int
    columns: int
    text: int

    @property
    def width(self) -> int:
        """From the left edge of the first thumbnail to the right edge of the last one of a row."""
        return self.columns * (self.side + self.gap) - self.gap

    @property
    def row_height(self) -> int:
        """A thumbnail, its caption and the gap to the next row."""
        return self.side + self.text + 4 + self.gap

    def rows(self, count: int) -> int:
        """Rows that ``count`` thumbnails take."""
        return -(-count // self.columns)


SHEET_GRID = Grid(side=84, gap=9, columns=10, text=11)
FALLBACK_GRID = Grid(side=56, gap=6, columns=15, text=9)


@dataclass(frozen=True)
class Section:
    """Crops under a title.

    Attributes:
        title: what stands above them.
        rows: their rows in the manifest.
        values: what is written below each, if anything.
    """

    title: str
    rows: Sequence[int]
    values: Sequence[str] = ()


@dataclass(frozen=True)
class Header:
    """The top of a page.

    Attributes:
        title: in large letters.
        facts: below it.
        drawn: whether the pictures are stand-ins.
    """

    title: str
    facts: str
    drawn: bool


def write_contact_sheets(store_folder: Path, name: str, title: str, folder: Path) -> list[Path]:
    """Draw the store at ``store_folder`` as ``<name>.png`` and ``<name>-fallbacks-1.png``, ``-2.png``, … in ``folder``.

    Below each thumbnail stands the crop's row in the manifest, counted from 0. The same store gives the same bytes.
    Files that are already in ``folder`` stay, those of an earlier, larger store too.

    Args:
        store_folder: the crop store.
        name: the set's, for the files.
        title: the set's name as people write it.
        folder: where the sheets go.

    Returns:
        The files written: the sheet, then the pages of fallbacks; no page where MTCNN found all faces.

    Raises:
        DatasetError: a file of the store is missing, or array and manifest do not have the same length.
        DamagedFileError: one is damaged.
    """
    description = read_description(store_folder)
    crops = store_folder / "crops.npy"
    total = len(read_array(crops))
    manifest = read_parquet(store_folder / "manifest.parquet", ["method", "score", "sharpness"])
    if total != len(manifest):
        raise DatasetError(
            f"{store_folder}: {total} crops but {len(manifest)} manifest rows; run its faces stage again"
        )
    drawn = description["provenance"] == "stand-in"
    count = f"{total:,} crops"
    written = [folder / f"{name}.png"]
    _write_page(written[0], SHEET_GRID, Header(title, count, drawn), _sections(manifest), crops)
    fallbacks = fallback_rows(manifest["method"])
    shown = sum(map(len, fallbacks.values()))
    pages = _fallback_pages(fallbacks)[:MOST_PAGES]
    for number, sections in enumerate(pages, start=1):
        written.append(folder / f"{name}-fallbacks-{number}.png")
        header = Header(f"{title}: fallbacks", f"page {number} of {len(pages)}; {shown:,} of {count}", drawn)
        _write_page(written[-1], FALLBACK_GRID, header, sections, crops)
    return written


def fallback_rows(methods: "pd.Series[Any]") -> dict[str, list[int]]:
    """The manifest rows of every fallback by method, in the order of the pages; ``methods``: the manifest's column."""
    return {method: np.flatnonzero(methods == method).tolist() for method in FALLBACK_TITLES}


def _sections(manifest: pd.DataFrame) -> list[Section]:
    """Random, lowest scores and least sharp; without those that have no crop."""
    count = len(manifest)
    drawn = np.sort(np.random.default_rng(0).choice(count, min(RANDOM_CROPS, count), replace=False))
    scores, sharpness = manifest["score"][manifest["method"] == "mtcnn"], manifest["sharpness"]
    sections = [
        Section(f"random: {len(drawn):,} of {count:,}", drawn.tolist()),
        _lowest("lowest scores: MTCNN was least certain of the face", scores, "{:.3f}"),
        _lowest("least sharp: lowest variance of the Laplacian", sharpness, "{:.1f}"),
    ]
    return [section for section in sections if section.rows]


def _lowest(title: str, values: "pd.Series[Any]", written: str) -> Section:
    """The crops of the lowest values, lowest first; among equal ones the first of the manifest."""
    lowest = values.dropna().sort_values(kind="stable")[:EXTREME_CROPS]
    return Section(title, lowest.index.tolist(), [written.format(value) for value in lowest])


def _fallback_pages(fallbacks: dict[str, list[int]]) -> list[list[Section]]:
    """The fallbacks, so many a page; a section that goes over pages says which of its crops are on each."""
    pages: list[list[Section]] = []
    free = 0
    for method, rows in fallbacks.items():
        first = 0
        while first < len(rows):
            if free == 0:
                pages.append([])
                free = FALLBACKS_A_PAGE
            part = rows[first : first + free]
            title = f"{FALLBACK_TITLES[method]}: {len(rows):,}"
            if len(part) < len(rows):
                title += f" ({first + 1:,}–{first + len(part):,} on this page)"
            pages[-1].append(Section(title, part))
            first += len(part)
            free -= len(part)
    return pages


def _write_page(path: Path, grid: Grid, header: Header, sections: Sequence[Section], crops: Path) -> None:
    heights = [SECTION_HEIGHT + grid.rows(len(section.rows)) * grid.row_height for section in sections]
    page = Image.new("RGB", (grid.width + 2 * MARGIN, HEADER_HEIGHT + sum(heights) + MARGIN), BACKGROUND)
    draw = ImageDraw.Draw(page)
    _draw_header(draw, header, MARGIN + grid.width)
    top = HEADER_HEIGHT
    for section, height in zip(sections, heights, strict=True):
        draw.text((MARGIN, top + SECTION_HEIGHT - 10), section.title, INK, _font(14), anchor="ls")
        values = section.values or [""] * len(section.rows)
        for place, (row, value) in enumerate(zip(section.rows, values, strict=True)):
            left = MARGIN + place % grid.columns * (grid.side + grid.gap)
            upper = top + SECTION_HEIGHT + place // grid.columns * grid.row_height
            _draw_crop(page, draw, grid, (left, upper), _read(crops, row))
            _draw_caption(draw, grid, (left, upper + grid.side), row, value)
        top += height
    with atomic_path(path) as temporary:
        page.save(temporary)


def _read(crops: Path, row: int) -> Image.Image:
    # Opened anew for each crop: a map that stays open keeps what was read, and in time the whole array, resident.
    array: NDArray[np.uint8] = read_array(crops)
    return Image.fromarray(np.array(array[row]))


def _draw_header(draw: ImageDraw.ImageDraw, header: Header, right: int) -> None:
    """Title and facts one below the other at the left, the warning at the ``right`` edge."""
    room = right - MARGIN
    if header.drawn:
        draw.text((right, 34), DRAWN, WARNING_COLOUR, _font(16, bold=True), anchor="rs")
        room -= round(_font(16, bold=True).getlength(DRAWN)) + MARGIN
    draw.text((MARGIN, 34), _fitting(header.title, _font(20, bold=True), room), INK, _font(20, bold=True), anchor="ls")
    facts = f"{header.facts}; grey numbers are rows of manifest.parquet, from 0"
    draw.text((MARGIN, 56), facts, PALE, _font(12), anchor="ls")
    draw.line((MARGIN, 67, right - 1, 67), LINE)


def _draw_crop(
    page: Image.Image, draw: ImageDraw.ImageDraw, grid: Grid, corner: tuple[int, int], crop: Image.Image
) -> None:
    """The thumbnail in a frame: some crops are as white as the page at their edges."""
    left, upper = corner
    draw.rectangle((left - 1, upper - 1, left + grid.side, upper + grid.side), outline=LINE)
    page.paste(crop.resize((grid.side, grid.side), Image.Resampling.LANCZOS), corner)


def _draw_caption(draw: ImageDraw.ImageDraw, grid: Grid, corner: tuple[int, int], row: int, value: str) -> None:
    """Below a thumbnail: the value at its left edge, the manifest row at its right edge or, without value, the left."""
    left, baseline = corner[0], corner[1] + grid.text + 3
    if value:
        draw.text((left, baseline), value, INK, _font(grid.text), anchor="ls")
        draw.text((left + grid.side, baseline), str(row), PALE, _font(grid.text), anchor="rs")
    else:
        draw.text((left, baseline), str(row), PALE, _font(grid.text), anchor="ls")


def _fitting(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """``text``, or as much of its beginning as fits with an ellipsis."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The typeface of the figures: Pillow's own has no letters beyond ASCII."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    # The other layout engine is there or not, as Pillow was built; the sheets are to be the same bytes everywhere.
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
