"""The pictures whose expression an adaptation has changed."""

from pathlib import Path

import numpy as np

from pipeline.data.prepared import PreparedData, Split
from pipeline.own_pictures.changed import LISTED, Change, changes, section
from tests.stores import flat, write_store


def album(folder: Path, count: int, rows: list[int]) -> PreparedData:
    manifest = [{"key": f"a_{row}.png", "method": "mtcnn"} for row in range(count)]
    store = write_store(folder / "crops", [flat(row) for row in range(count)], manifest, "album")
    return PreparedData("album", store, Split(np.array(rows), np.array(rows)))


def predicted(*pairs: tuple[int, float]) -> np.ndarray:
    found = np.array([[(1 - share) / 6] * 7 for _, share in pairs])
    for row, (label, share) in zip(found, pairs, strict=True):
        row[label] = share
    return found


def test_changed_pictures_with_a_face_come_the_most_certain_first(tmp_path: Path) -> None:
    before = predicted((0, 0.9), (3, 0.5), (4, 0.62), (1, 0.4))
    after = predicted((5, 0.9), (3, 0.9), (3, 0.714), (2, 0.8))
    found = changes(album(tmp_path, 4, [1, 2, 3]), before, after)  # the first picture has no face
    assert [(one.picture, one.before, one.after) for one in found] == [("a_3.png", 1, 2), ("a_2.png", 4, 3)]
    assert section(found, "picture", " ◊").splitlines()[-2:] == [
        "| `a_3.png` | disgust 40 % ◊ | fear 80 % ◊ |",
        "| `a_2.png` | sadness 62 % ◊ | happiness 71 % ◊ |",
    ]


def test_of_many_the_report_lists_a_part_and_of_none_nothing() -> None:
    many = [Change(f"{place}.png", 0, 0.5, 1, 0.5) for place in range(LISTED + 1)]
    text = section(many, "frame", "")
    assert f"The {LISTED} most certain of {LISTED + 1} frames" in text
    assert len([line for line in text.splitlines() if line.startswith("| `")]) == LISTED
    assert section([], "picture", "") == ""


def test_signs_in_names_of_files_mean_nothing() -> None:
    text = section([Change("a|b`c_d_e.png", 0, 0.5, 1, 0.5)], "picture", "")
    assert "| ``a\\|b`c_d_e.png`` | anger 50 % | disgust 50 % |" in text
