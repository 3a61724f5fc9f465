"""reports/faces.md: numbers of detected faces and unreadable files of every data set, with contact sheets."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq

from pipeline.data.crops import read_description
from pipeline.faces.writer import summary
from pipeline.files.io import damage_reported, read_parquet, write_text
from pipeline.files.names import visible
from pipeline.labels import DRAWN_MARK
from pipeline.progress import working
from pipeline.reporting.contact_sheet import FALLBACK_TITLES, FALLBACKS_A_PAGE, fallback_rows, write_contact_sheets
from pipeline.reporting.markdown import MARK_NOTE, NOTHING, code, markdown_table
from pipeline.reporting.titles import dataset_title

NAMED = 20
"""Maximum number of files in each list of the report."""

INTRODUCTION = """\
Every readable picture becomes one crop of 112×112 pixels. **MTCNN**: its networks found a face; the score is the last \
network's. **Haar**: MTCNN found no face, but the Haar cascade did. **Whole**: neither found a face, so the crop is \
the whole picture. **Given**: the set's authors have aligned the picture to the face, so it is used unchanged. \
**Unreadable**: the picture cannot be decoded and has no crop. The detection rate is MTCNN's share of the readable \
pictures that are not given. Sharpness is the variance of the crop's Laplacian, in squared grey levels: low if the \
crop is blurred."""

WHERE_SHEETS_ARE = """\
The contact sheets show the pictures themselves, and pictures of a licensed set must not be published. So the pipeline \
keeps the sheets with DVC, not with git: `dvc pull` or `dvc repro` fetches them."""

COLUMNS = {
    "Pictures": "pictures",
    "Crops": "crops",
    "Unreadable": "unreadable",
    "MTCNN": "mtcnn",
    "Haar": "haar",
    "Whole": "whole",
    "Given": "given",
    "Detection rate (%)": "detection_rate",
    "Turned": "turned",
    "Several faces": "several_faces",
    "Median score": "median_score",
    "Median sharpness": "median_sharpness",
}
"""Column heads of the table, and their keys in the summary of a store."""


@dataclass(frozen=True)
class _Faces:
    """The data of one store.

    Attributes:
        name: name of the data set.
        store: folder of the crop store.
        counts: the store's summary.
        description: the store's store.json.
        sheets: paths relative to the folder of sheets, the contact sheet first.
    """

    name: str
    store: Path
    counts: dict[str, int | float]
    description: dict[str, Any]
    sheets: list[Path]

    def marked(self, text: str) -> str:
        """Append the mark to a number if the set is drawn."""
        return f"{text} {DRAWN_MARK}" if self.description["provenance"] == "stand-in" else text


def write_faces_report(stores: Mapping[str, Path], report: Path, sheets: Path, in_project: bool = False) -> list[Path]:
    """Write the Markdown file ``report`` and the contact sheets.

    The folder ``sheets`` is replaced as a whole after all sheets are drawn; on any error it is not changed.

    Args:
        stores: folder of the crop store by data set, in the order of the report.
        report: the Markdown file.
        sheets: the folder of contact sheets.
        in_project: whether DVC stores the sheets; the report then says so.

    Returns:
        The files written: the report, then the sheets.

    Raises:
        DatasetError: a file of a store is missing, or its array and manifest differ in length.
    """
    # Relative links do not depend on the project's path.
    link = Path(os.path.relpath(sheets, report.parent))
    with working("draw the contact sheets"), _replaced(sheets) as folder:
        faces = [_draw(name, store, folder) for name, store in stores.items()]
        text = _render(faces, link, in_project)
    write_text(report, text)
    return [report, *(sheets / sheet for one in faces for sheet in one.sheets)]


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces ``folder`` on success and is deleted on any error."""
    new, old = (folder.with_name(f".{folder.name}.{age}") for age in ("new", "old"))
    _settle(folder, new, old)  # clean up after a killed run
    new.mkdir(parents=True)
    try:
        yield new
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    finally:
        _settle(folder, new, old)


def _settle(folder: Path, new: Path, old: Path) -> None:
    """Restore ``old`` if ``folder`` does not exist, then delete ``new`` and ``old``."""
    if old.exists() and not folder.exists():
        old.rename(folder)
    for rest in (new, old):
        if rest.exists():
            shutil.rmtree(rest)


def _draw(name: str, store: Path, folder: Path) -> _Faces:
    sheets = write_contact_sheets(store, name, dataset_title(name), folder)
    relative = [sheet.relative_to(folder) for sheet in sheets]
    return _Faces(name, store, summary(store), read_description(store), relative)


def _render(faces: Sequence[_Faces], link: Path, in_project: bool) -> str:
    """Return the report's text; ``link``: the relative path of the folder of sheets."""
    introduction = [INTRODUCTION, WHERE_SHEETS_ARE] if in_project else [INTRODUCTION]
    table = markdown_table(["Data set", *COLUMNS], [[dataset_title(one.name), *_cells(one)] for one in faces])
    note = [MARK_NOTE] if DRAWN_MARK in table else []
    sections = [_section(one, link) for one in faces]
    return "\n\n".join(["# Faces: what was found in the pictures", *introduction, table, *note, *sections]) + "\n"


def _cells(faces: _Faces) -> list[str]:
    counts = faces.counts
    return [faces.marked(_number(key, counts[key])) if key in counts else NOTHING for key in COLUMNS.values()]


def _number(key: str, value: float) -> str:
    formats = {"detection_rate": "{:.2f}", "median_score": "{:.4f}", "median_sharpness": "{:,.1f}"}
    return formats.get(key, "{:,}").format(100 * value if key == "detection_rate" else value)


def _section(faces: _Faces, link: Path) -> str:
    """Return the section of one data set: sheet, fallbacks, unreadable and skipped files."""
    title = dataset_title(faces.name)
    sheet, *pages = (quote((link / path).as_posix()) for path in faces.sheets)
    picture = f"![Contact sheet: {_plain(title)}]({sheet})"
    lists = (*_fallbacks(faces, pages), *_unreadable(faces), *_skipped_files(faces))
    return "\n\n".join([f"## {_plain(title)}", picture, *lists])


def _fallbacks(faces: _Faces, pages: Sequence[str]) -> list[str]:
    """Return counts of fallbacks with links to pages, and the first files; empty if MTCNN found all faces."""
    if not pages:
        return []
    rows = fallback_rows(read_parquet(faces.store / "manifest.parquet", ["method"])["method"])
    counts = [f"{FALLBACK_TITLES[method]} {faces.marked(f'{len(rows[method]):,}')}" for method in rows if rows[method]]
    links = ", ".join(f"[page {number}]({page})" for number, page in enumerate(pages, start=1))
    named = [(method, row) for method in rows for row in rows[method]]
    keys = _keys(faces.store / "manifest.parquet", {row for _, row in named[:NAMED]})
    lines = [f"{code(keys[row])} (row {row}): {FALLBACK_TITLES[method]}" for method, row in named[:NAMED]]
    shown = len(pages) * FALLBACKS_A_PAGE
    which = "All of them" if len(named) <= shown else f"The first {faces.marked(f'{shown:,}')}"
    paragraph = f"**Fallbacks**: {'; '.join(counts)}. {which}: {links}."
    return [paragraph, _list(faces, lines, len(named), "manifest.parquet")]


def _keys(manifest: Path, rows: set[int]) -> dict[int, str]:
    """Read the keys of a few rows, without loading all keys, of which there may be millions."""
    found: dict[int, str] = {}
    with damage_reported(manifest), pq.ParquetFile(manifest) as file:
        start = 0
        for part in file.iter_batches(columns=["key"]):
            inside = [row for row in rows if start <= row < start + len(part)]
            found |= {row: part["key"][row - start].as_py() for row in inside}
            start += len(part)
    return found


def _unreadable(faces: _Faces) -> list[str]:
    """Return the first unreadable files with reasons; empty if there are none."""
    reasons: dict[str, str] = faces.description["unreadable"]
    if not reasons:
        return []
    lines = [f"{code(key)}: {_plain(reason.removeprefix(f'{key}: '))}" for key, reason in list(reasons.items())[:NAMED]]
    paragraph = f"**Unreadable**: {faces.marked(f'{len(reasons):,}')}."
    return [paragraph, _list(faces, lines, len(reasons), "store.json")]


def _skipped_files(faces: _Faces) -> list[str]:
    """Return counts of skipped files by kind; empty if there are none, or if the set's files are known."""
    counts: dict[str, int] = faces.description.get("passed_over", {})
    named = [f"{faces.marked(f'{count:,}')} {code(kind)}" for kind, count in counts.items()]
    return [f"**Skipped**, because they are not pictures: {', '.join(named)}."] if named else []


def _list(faces: _Faces, lines: Sequence[str], total: int, file: str) -> str:
    """Return a Markdown list; if it has fewer than ``total`` lines, the last one names the file with all."""
    more = total - len(lines)
    rest = [f"and {faces.marked(f'{more:,}')} more: {code((faces.store / file).as_posix())}"] if more else []
    return "\n".join(f"- {line}" for line in (*lines, *rest))


def _plain(text: str) -> str:
    """Escape Markdown and HTML characters."""
    return re.sub(r"([\\`*_\[\]<>&|#])", r"\\\1", visible(text))
