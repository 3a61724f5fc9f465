"""The pictures of docs/ are of the stored results, and these agree with the tables."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import real_faces
from benchmarks.heads import AS_CONFIGURED

DIRECTIONS = [direction for direction in real_faces.DIRECTIONS if real_faces.files(direction)]


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_table_has_the_rows_of_its_files_and_every_source_model(direction: str) -> None:
    transfer, found = real_faces.rows(direction)
    assert 0 < transfer < 100
    for row in found:
        assert row.low <= row.gain <= row.high
        assert min(row.gains) - 0.06 <= row.gain <= max(row.gains) + 0.06


def test_the_pictures_are_of_these_tables() -> None:
    tables = [real_faces.rows(direction) for direction in DIRECTIONS]
    for path, shown in ((real_faces.FRONT, [real_faces.front()]), (real_faces.EVERY, tables)):
        with Image.open(path) as picture:
            drawn = picture.info["Description"]
        assert drawn == real_faces.described(shown), "draw it again: python -m benchmarks.real_faces"


@pytest.mark.parametrize("page", real_faces.PAGES, ids=lambda page: page.name)
def test_the_tables_of_a_page_are_of_the_stored_results(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert real_faces.with_tables(text) == text, "write them again: python -m benchmarks.real_faces"
    assert [*real_faces.TABLE.findall(text), *real_faces.MODELS.findall(text)]
    with pytest.raises(ValueError, match=r"fer2013-ckplus48\.md: has no row Magic"):
        real_faces.with_tables("<!-- rows of results/fer2013-ckplus48.md: DT; Magic -->\n\n\n\n")


def test_a_line_is_an_interval_and_a_dot_a_source_model() -> None:
    transfer, found = real_faces.front()
    assert sorted(row.name for row in found) == sorted(real_faces.SHOWN)
    assert {row.kind for row in found} == {AS_CONFIGURED}
    (axes,) = real_faces.draw_front(transfer, found).axes
    for row, line in zip(found, axes.lines, strict=False):
        assert np.asarray(line.get_xdata()).tolist() == [transfer + row.low, transfer + row.high]
        assert len(row.gains) == len(real_faces.files("fer2013-ckplus48"))


def test_a_table_that_is_not_of_the_files_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    first = real_faces.files("fer2013-ckplus48")[:1]
    monkeypatch.setattr(real_faces, "files", lambda _direction: first)
    with pytest.raises(ValueError, match=r"fer2013-ckplus48\.md: .*: not that of the files"):
        real_faces.rows("fer2013-ckplus48")


def test_a_table_without_a_row_of_the_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    table = (real_faces.DOCS / "results/fer2013-ckplus48.md").read_text(encoding="utf-8")
    kept = [line for line in table.splitlines(keepends=True) if not line.startswith("| LAME | as configured")]
    (folder / "fer2013-ckplus48.md").write_text("".join(kept))
    own = real_faces.files("fer2013-ckplus48")
    monkeypatch.setattr(real_faces, "files", lambda _direction: own)
    monkeypatch.setattr(real_faces, "DOCS", tmp_path)
    with pytest.raises(ValueError, match="lacks LAME as configured"):
        real_faces.rows("fer2013-ckplus48")
