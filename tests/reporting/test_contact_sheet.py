"""Contact sheets show the crops they promise, each in its place, and never load the whole array."""

import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageColor

from pipeline.data.crops import CROP_SIZE, MANIFEST_COLUMNS, SAMPLE_COLUMNS
from pipeline.errors import DatasetError
from pipeline.files.io import write_json
from pipeline.reporting.contact_sheet import FALLBACK_GRID, MARGIN, SECTION_HEIGHT, SHEET_GRID, write_contact_sheets
from pipeline.reporting.figures import WARNING_COLOUR

Row = dict[str, Any]


def mtcnn(score: float = 0.9, sharpness: float = 100.0) -> Row:
    return {"method": "mtcnn", "faces": 1, "score": score, "sharpness": sharpness}


def other(method: str, sharpness: float | None = 50.0) -> Row:
    return {"method": method, "faces": 0, "sharpness": sharpness}


def write_store(
    folder: Path, rows: Sequence[Row], provenance: str = "real", unreadable: dict[str, str] | None = None
) -> Path:
    """A store of which each crop has one colour all over, ``colour(row)``; keys are 0.png, 1.png, … unless given."""
    folder.mkdir(parents=True, exist_ok=True)
    crops = np.empty((len(rows), CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    for index in range(len(rows)):
        crops[index] = colour(index)
    np.save(folder / "crops.npy", crops)
    keyed = [{"key": f"{index}.png"} | row for index, row in enumerate(rows)]
    manifest = pd.DataFrame(keyed, columns=list(MANIFEST_COLUMNS)).astype(MANIFEST_COLUMNS)
    manifest.to_parquet(folder / "manifest.parquet", index=False)
    manifest[list(SAMPLE_COLUMNS)].to_parquet(folder / "samples.parquet", index=False)
    methods = {str(method): int(count) for method, count in manifest["method"].value_counts().items()}
    facts = {"dataset": folder.name, "provenance": provenance, "crops": len(rows)}
    write_json(folder / "store.json", facts | {"digest": ""})
    write_json(folder / "faces.json", {"methods": methods, "unreadable": unreadable or {}})
    return folder


def colour(index: int) -> tuple[int, int, int]:
    """Colourful enough to be neither paper nor ink."""
    return index % 250, 40 * (index // 250), 205


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def has(picture: NDArray[np.uint8], wanted: str) -> bool:
    return bool((picture == ImageColor.getrgb(wanted)).all(axis=2).any())


def shown(picture: NDArray[np.uint8], side: int) -> list[int]:
    """The manifest rows of all whole thumbnails of this side, as one reads them: row by row, from the left."""
    packed = picture.astype(np.int64) @ np.array([1, 1 << 8, 1 << 16])
    # Where a thumbnail begins, its colour begins in both directions.
    begins = np.ones_like(packed, dtype=bool)
    begins[1:] &= packed[1:] != packed[:-1]
    begins[:, 1:] &= packed[:, 1:] != packed[:, :-1]
    found = []
    for upper, left in np.argwhere(begins & (picture[..., 2] == 205)):
        block = packed[upper : upper + side, left : left + side]
        if block.shape == (side, side) and (block == block[0, 0]).all():
            red, green, _ = picture[upper, left].tolist()
            found.append(green // 40 * 250 + red)
    return found


def sheet(store: Path, title: str = "RAF-DB") -> NDArray[np.uint8]:
    return pixels(write_contact_sheets(store, "set", title, store.parent / "sheets")[0])


def test_random_lowest_scores_and_least_sharp_in_this_order(tmp_path: Path) -> None:
    rows = [mtcnn(score=0.99 - index / 1000, sharpness=10 + index) for index in range(300)]
    rows[7] = other("haar", sharpness=500.0) | {"score": 0.1}
    crops = shown(sheet(write_store(tmp_path / "s", rows)), SHEET_GRID.side)
    assert len(crops) == 80
    assert crops[:40] == sorted(set(crops[:40]))
    assert max(crops[:40]) > 200 > 100 > min(crops[:40])
    assert crops[40:60] == list(range(299, 279, -1))
    assert crops[60:] == [index for index in range(21) if index != 7]


def test_equal_values_keep_the_order_of_the_manifest(tmp_path: Path) -> None:
    rows = [mtcnn(0.8, 9.0) if index % 7 == 0 else mtcnn(0.9, 9.5) for index in range(100)]
    crops = shown(sheet(write_store(tmp_path / "s", rows)), SHEET_GRID.side)
    assert crops[40:] == [*range(0, 99, 7), 1, 2, 3, 4, 5] * 2


def test_sections_without_crops_are_left_out(tmp_path: Path) -> None:
    aligned = sheet(write_store(tmp_path / "aligned", [other("given", None)] * 3))
    assert shown(aligned, SHEET_GRID.side) == [0, 1, 2]
    blurred = sheet(write_store(tmp_path / "blurred", [other("given", 5.0), other("given", 4.0)]))
    assert shown(blurred, SHEET_GRID.side) == [0, 1, 1, 0]
    searched = sheet(write_store(tmp_path / "searched", [mtcnn(0.8, 4.0), mtcnn(0.7, 5.0)]))
    assert shown(searched, SHEET_GRID.side) == [0, 1, 1, 0, 0, 1]
    a_section = SECTION_HEIGHT + SHEET_GRID.row_height
    assert (len(blurred) - len(aligned), len(searched) - len(blurred)) == (a_section, a_section)


def test_every_crop_has_its_own_caption(tmp_path: Path) -> None:
    scores = [0.61, 0.62, 0.62]
    picture = sheet(write_store(tmp_path / "s", [{"method": "mtcnn", "faces": 1, "score": score} for score in scores]))
    lines = [upper for upper in range(len(picture)) if (picture[upper, MARGIN, 2] == 205)]
    below = max(lines) + 2
    lefts = [MARGIN + place * (SHEET_GRID.side + SHEET_GRID.gap) for place in range(3)]
    captions = [picture[below : below + SHEET_GRID.text + 3, left : left + SHEET_GRID.side] for left in lefts]
    values = [caption[:, :40].tolist() for caption in captions]
    assert values[0] != values[1] == values[2]
    assert captions[1].tolist() != captions[2].tolist()  # the manifest rows
    assert all(caption.min() < 80 for caption in captions)


def test_long_captions_do_not_meet(tmp_path: Path) -> None:
    """Value and manifest row share the width of a thumbnail, and a row of a million crops fits below a small one."""
    store = write_store(tmp_path / "s", [mtcnn(sharpness=9999.9)] * 2)
    narrow = write_contact_sheets(store, "s", "RAF-DB", tmp_path)[0]
    picture = pixels(narrow)
    caption = picture[-(MARGIN + SHEET_GRID.gap + SHEET_GRID.text + 4) + 1 :, MARGIN : MARGIN + SHEET_GRID.side]
    inked = np.flatnonzero((caption < 250).any(axis=(0, 2)))
    assert inked[0] < 3
    # "9999.9" takes half of the width at the most: the other half holds six digits.
    assert inked[inked < SHEET_GRID.side - 12].max() < SHEET_GRID.side / 2


def test_every_fallback_is_on_a_page_haar_first(tmp_path: Path) -> None:
    rows = [other(("whole", "haar", "whole")[index % 3]) if index % 4 else mtcnn() for index in range(60)]
    written = write_contact_sheets(write_store(tmp_path / "s", rows), "rafdb", "RAF-DB", tmp_path / "sheets")
    assert written == [tmp_path / "sheets/rafdb.png", tmp_path / "sheets/rafdb-fallbacks-1.png"]
    expected = [index for method in ("haar", "whole") for index in range(60) if rows[index]["method"] == method]
    assert shown(pixels(written[1]), FALLBACK_GRID.side) == expected


@pytest.mark.slow
def test_many_fallbacks_take_several_pages(tmp_path: Path) -> None:
    rows = [other("whole")] * 500 + [other("haar")] * 701
    written = write_contact_sheets(write_store(tmp_path / "s", rows), "set", "RAF-DB", tmp_path / "sheets")
    assert [path.name for path in written] == ["set.png", *(f"set-fallbacks-{page}.png" for page in (1, 2, 3))]
    pages = [shown(pixels(path), FALLBACK_GRID.side) for path in written[1:]]
    assert [len(page) for page in pages] == [600, 600, 1]
    assert [index for page in pages for index in page] == [*range(500, 1201), *range(500)]


@pytest.mark.parametrize("method", ["mtcnn", "given"])
def test_no_fallback_no_page(tmp_path: Path, method: str) -> None:
    rows = [mtcnn() if method == "mtcnn" else other(method)] * 5
    written = write_contact_sheets(write_store(tmp_path / "s", rows), "set", "RAF-DB", tmp_path / "sheets")
    assert [path.name for path in (tmp_path / "sheets").iterdir()] == ["set.png"]
    assert len(written) == 1


def test_drawn_stand_ins_are_named_on_every_sheet_and_real_sets_on_none(tmp_path: Path) -> None:
    for provenance, warned in (("stand-in", True), ("real", False)):
        store = write_store(tmp_path / provenance, [mtcnn(), other("haar")], provenance)
        for path in write_contact_sheets(store, provenance, "RAF-DB", tmp_path):
            assert has(pixels(path), WARNING_COLOUR) is warned, path.name


def test_long_title_is_cut_before_the_warning_and_the_edge(tmp_path: Path) -> None:
    for provenance in ("stand-in", "real"):
        picture = sheet(write_store(tmp_path / provenance, [mtcnn()], provenance), "Gesichter-" * 30)
        assert (picture[:, : MARGIN - 1] == 255).all()
        assert (picture[:, -MARGIN:] == 255).all()
        if provenance == "stand-in":
            band = picture[10:42]
            warning = np.flatnonzero((band == ImageColor.getrgb(WARNING_COLOUR)).all(axis=2).any(axis=0)).min()
            assert (band[:, warning - 15 : warning - 2] == 255).all()


def test_title_with_letters_beyond_ascii_is_legible(tmp_path: Path) -> None:
    """Letters that the typeface lacks all look alike."""
    store = write_store(tmp_path / "s", [mtcnn()])
    assert len({sheet(store, title).tobytes() for title in "äéßżČΩЖ"}) == 7


def test_same_store_same_bytes(tmp_path: Path) -> None:
    rows = [mtcnn(), other("haar"), other("whole")] * 50
    first = write_contact_sheets(write_store(tmp_path / "a", rows), "set", "RAF-DB", tmp_path / "first")
    second = write_contact_sheets(write_store(tmp_path / "b", rows), "set", "RAF-DB", tmp_path / "second")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    for path in first:
        with Image.open(path) as image:
            assert image.info == {}, path.name


def test_memory_does_not_grow_with_the_store(tmp_path: Path) -> None:
    store = write_store(tmp_path / "s", [mtcnn()] * 1700)
    size = (store / "crops.npy").stat().st_size
    tracemalloc.start()
    try:
        write_contact_sheets(store, "set", "RAF-DB", tmp_path / "sheets")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 60_000_000
    assert peak < size / 10


def test_damaged_store_is_named_and_nothing_is_drawn(tmp_path: Path) -> None:
    store = write_store(tmp_path / "s", [mtcnn()] * 3)
    np.save(store / "crops.npy", np.zeros((2, CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8))
    with pytest.raises(DatasetError, match="2 crops but 3 manifest rows; run its faces stage again"):
        sheet(store)
    (store / "manifest.parquet").unlink()
    with pytest.raises(DatasetError, match=r"manifest\.parquet: missing"):
        sheet(store)
    assert not (tmp_path / "sheets").exists()
