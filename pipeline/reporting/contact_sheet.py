"""Contact sheets of a crop store, for visual inspection.

One sheet shows a random sample, the faces with the lowest MTCNN scores and the most blurred crops. At most
``MOST_PAGES`` further pages show crops without a face found by MTCNN. Crops are read one by one from a memory map, so
memory does not grow with the store, except for three numbers per crop.
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
"""Number of crops shown with the lowest scores, and with the lowest sharpness."""

FALLBACKS_A_PAGE = 600
MOST_PAGES = 20
"""Maximum number of pages of fallbacks: a large archive would have thousands."""

FALLBACK_TITLES = {"haar": "Haar cascade", "whole": "no face found, whole picture"}
"""The detection methods whose crops are on further pages, in order."""

MARGIN = 24
HEADER_HEIGHT = 70
SECTION_HEIGHT = 34
BACKGROUND, INK, PALE, LINE = "#FFFFFF", "#222222", "#6E6E6E", "#D5D5D5"
DRAWN = "drawn stand-ins"


@dataclass(frozen=True)
class Grid:
    """The layout of thumbnails.

    Attributes:
        side: side of a thumbnail, in pixels.
        gap: gap between thumbnails, in pixels.
        columns: thumbnails per row.
        text: text size of captions, in pixels.
    """

    side: int
    gap: int
    columns: int
    text: int

    @property
    def width(self) -> int:
        """The width of a row, in pixels."""
        return self.columns * (self.side + self.gap) - self.gap

    @property
    def row_height(self) -> int:
        """The height of a row with captions and gap, in pixels."""
        return self.side + self.text + 4 + self.gap

    def rows(self, count: int) -> int:
        """Return the number of rows for ``count`` thumbnails."""
        return -(-count // self.columns)


SHEET_GRID = Grid(side=84, gap=9, columns=10, text=11)
FALLBACK_GRID = Grid(side=56, gap=6, columns=15, text=9)


@dataclass(frozen=True)
class Section:
    """A titled section of crops.

    Attributes:
        title: the title.
        rows: rows of the crops in the manifest.
        values: captions of the crops, if any.
    """

    title: str
    rows: Sequence[int]
    values: Sequence[str] = ()


@dataclass(frozen=True)
class Header:
    """The header of a page.

    Attributes:
        title: the title.
        facts: the line below the title.
        drawn: whether the pictures are drawn stand-ins.
    """

    title: str
    facts: str
    drawn: bool


def write_contact_sheets(store_folder: Path, name: str, title: str, folder: Path) -> list[Path]:
    """Write the contact sheet ``<name>.png`` of a store, and the pages ``<name>-fallbacks-1.png``, ``-2.png``, ….

    The caption of a thumbnail is the crop's row in the manifest, from 0. The same store gives the same bytes. Other
    files in ``folder`` are not deleted.

    Args:
        store_folder: the crop store.
        name: name of the data set, for the file names.
        title: title of the data set.
        folder: the output folder.

    Returns:
        The files written: the sheet, then the pages of fallbacks, if any.

    Raises:
        DatasetError: a file of the store is missing, or array and manifest differ in length.
        DamagedFileError: a file is damaged.
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
    """Return the manifest rows of fallbacks by method, in page order; ``methods``: the manifest's column."""
    return {method: np.flatnonzero(methods == method).tolist() for method in FALLBACK_TITLES}


def _sections(manifest: pd.DataFrame) -> list[Section]:
    """Return the sections of the sheet: random, lowest scores and least sharp, without empty ones."""
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
    """Return a section of the crops with the lowest values, in ascending order."""
    lowest = values.dropna().sort_values(kind="stable")[:EXTREME_CROPS]
    return Section(title, lowest.index.tolist(), [written.format(value) for value in lowest])


def _fallback_pages(fallbacks: dict[str, list[int]]) -> list[list[Section]]:
    """Distribute fallbacks over pages; titles of divided sections state the range of crops."""
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
    # Opened for each crop: a memory map that stays open keeps all pages that were read in memory.
    array: NDArray[np.uint8] = read_array(crops)
    return Image.fromarray(np.array(array[row]))


def _draw_header(draw: ImageDraw.ImageDraw, header: Header, right: int) -> None:
    """Draw title and facts at the left, and the warning for stand-ins at the ``right`` edge."""
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
    """Draw a thumbnail with a frame, because some crops have white edges."""
    left, upper = corner
    draw.rectangle((left - 1, upper - 1, left + grid.side, upper + grid.side), outline=LINE)
    page.paste(crop.resize((grid.side, grid.side), Image.Resampling.LANCZOS), corner)


def _draw_caption(draw: ImageDraw.ImageDraw, grid: Grid, corner: tuple[int, int], row: int, value: str) -> None:
    """Draw a caption: the value at the left and the manifest row at the right, or only the row at the left."""
    left, baseline = corner[0], corner[1] + grid.text + 3
    if value:
        draw.text((left, baseline), value, INK, _font(grid.text), anchor="ls")
        draw.text((left + grid.side, baseline), str(row), PALE, _font(grid.text), anchor="rs")
    else:
        draw.text((left, baseline), str(row), PALE, _font(grid.text), anchor="ls")


def _fitting(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Return ``text``, shortened with an ellipsis if it is too wide."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return the font of the figures; Pillow's default font has only ASCII."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    # The other layout engine is optional in Pillow; with this one the sheets have the same bytes everywhere.
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
