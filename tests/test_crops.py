"""The packed crop store: what goes in comes out, a cut-off writer leaves nothing, damage is named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.crops import CROP_SIZE, MANIFEST_COLUMNS, CropStore, CropWriter
from pipeline.errors import DatasetError


def crop(value: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full((CROP_SIZE, CROP_SIZE, 3), value, dtype=np.uint8)


def write(folder: Path, count: int, capacity: int) -> CropStore:
    with CropWriter(folder, capacity) as writer:
        for index in range(count):
            row: dict[str, Any] = {
                "key": f"{index:03d}.png",
                "label": index % 7 if index % 3 else None,
                "method": "mtcnn",
                "faces": 1,
            }
            row |= {"score": 0.99, "box": [1.0, 2.0, 3.5, 4.0], "landmarks": [float(i) for i in range(10)]}
            writer.append(crop(index), row)
        return writer.finish("jaffe", "stand-in", {"broken.png": "truncated"})


def cut_off(folder: Path) -> None:
    with CropWriter(folder, 3) as writer:
        writer.append(crop(1), {"key": "a"})
        raise KeyboardInterrupt


@pytest.mark.parametrize(("count", "capacity"), [(5, 5), (5, 1000), (1, 1), (12, 123456)])
def test_round_trip(count: int, capacity: int, tmp_path: Path) -> None:
    write(tmp_path / "s", count, capacity)
    store = CropStore.open(tmp_path / "s")
    assert store.images.shape == (count, CROP_SIZE, CROP_SIZE, 3)
    assert store.images.dtype == np.uint8
    assert isinstance(store.images, np.memmap)
    assert [int(image[0, 0, 0]) for image in store.images] == list(range(count))
    assert list(store.manifest.columns) == list(MANIFEST_COLUMNS)
    assert store.labels().tolist() == [index % 7 if index % 3 else -1 for index in range(count)]
    assert list(store.manifest["box"][0]) == [1.0, 2.0, 3.5, 4.0]
    assert store.description["crops"] == count
    assert store.description["methods"] == {"mtcnn": count}
    assert store.description["unreadable"] == {"broken.png": "truncated"}
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["crops.npy", "manifest.parquet", "store.json"]
    assert (tmp_path / "s/crops.npy").stat().st_size == 128 + count * CROP_SIZE * CROP_SIZE * 3


def test_same_input_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a", 4, 4)
    write(tmp_path / "b", 4, 99)
    for name in ("crops.npy", "manifest.parquet", "store.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_digest_tells_stores_apart(tmp_path: Path) -> None:
    assert write(tmp_path / "a", 4, 4).description["digest"] != write(tmp_path / "b", 5, 5).description["digest"]


def test_writer_that_is_cut_off_leaves_no_store(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        cut_off(tmp_path / "s")
    assert list((tmp_path / "s").iterdir()) == []
    with pytest.raises(DatasetError, match=r"crops\.npy: missing; run the faces stage"):
        CropStore.open(tmp_path / "s")


def test_wrong_crops_and_rows_are_refused(tmp_path: Path) -> None:
    with CropWriter(tmp_path / "s", 3) as writer:
        with pytest.raises(ValueError, match="112×112×3 uint8"):
            writer.append(np.zeros((48, 48, 3), dtype=np.uint8), {})
        with pytest.raises(ValueError, match="112×112×3 uint8"):
            writer.append(np.zeros((112, 112, 3)), {})  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"unknown manifest columns: .*colour"):
            writer.append(crop(0), {"colour": "red"})


def test_array_and_manifest_of_different_length_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a", 4, 4)
    write(tmp_path / "b", 5, 5)
    (tmp_path / "a/manifest.parquet").write_bytes((tmp_path / "b/manifest.parquet").read_bytes())
    with pytest.raises(DatasetError, match="4 crops but 5 manifest rows"):
        CropStore.open(tmp_path / "a")


def test_description_is_plain_json(tmp_path: Path) -> None:
    write(tmp_path / "s", 2, 2)
    assert json.loads((tmp_path / "s/store.json").read_text())["provenance"] == "stand-in"
