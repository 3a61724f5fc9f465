"""The packed crop store: what goes in comes out, interrupted work goes on, damage is named."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.data.crops import CROP_SIZE, MANIFEST_COLUMNS, SAMPLE_COLUMNS, CropStore, read_description
from pipeline.errors import DamagedFileError, DatasetError, StorageError
from pipeline.faces import packing
from pipeline.faces import writer as module
from pipeline.faces.writer import CropBatch, CropWriter
from tests.stores import flat

FILES = ["crops.npy", "faces.json", "manifest.parquet", "samples.parquet", "store.json"]


def batch(first: int, count: int) -> CropBatch:
    rows: list[dict[str, Any]] = []
    for index in range(first, first + count):
        row = {"key": f"{index:03d}.png", "label": index % 7 if index % 3 else None, "method": "mtcnn", "faces": 1}
        rows.append(row | {"score": 0.99, "box": [1.0, 2.0, 3.5, 4.0], "landmarks": [float(i) for i in range(10)]})
    crops = [flat(index) for index in range(first, first + count)]
    empty = np.empty((0, CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    return CropBatch(np.stack(crops) if crops else empty, rows, {f"{first}.broken.png": "truncated"} if first else {})


SIZES = (3, 2, 0, 4)
BATCHES = [batch(sum(SIZES[:place]), size) for place, size in enumerate(SIZES)]
NAMES = [f"name {place}" for place in range(len(SIZES))]


def write(work: Path, names: list[str] = NAMES, until: int = len(SIZES)) -> int:
    """Resume and go on to batch ``until``; to the store beside ``work`` where that is the last. How many were done."""
    writer = CropWriter(work)
    done = {place for place, _ in writer.resume(names)}
    for place in range(until):
        if place not in done:
            writer.append(names[place], BATCHES[place])
    if until == len(BATCHES):
        writer.finish(work.with_name("store"), "jaffe", "stand-in", {})
    return len(done)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_round_trip(tmp_path: Path) -> None:
    assert write(tmp_path / "work") == 0
    store = CropStore.open(tmp_path / "store")
    assert store.images.shape == (9, CROP_SIZE, CROP_SIZE, 3)
    assert store.images.dtype == np.uint8
    assert isinstance(store.images, np.memmap)
    assert [int(image[0, 0, 0]) for image in store.images] == list(range(9))
    assert {name: str(kind) for name, kind in store.manifest.dtypes.items()} == {
        name: {"string": str(store.manifest["key"].dtype)}.get(kind, kind) for name, kind in MANIFEST_COLUMNS.items()
    }
    assert store.labels().tolist() == [index % 7 if index % 3 else -1 for index in range(9)]
    assert store.manifest["subject"].isna().all()
    assert list(store.manifest["box"][0]) == [1.0, 2.0, 3.5, 4.0]
    assert store.description["crops"] == 9
    assert list(store.samples) == list(SAMPLE_COLUMNS)
    assert store.samples["key"].tolist() == store.manifest["key"].tolist()
    description = read_description(tmp_path / "store")
    assert description["methods"] == {"mtcnn": 9}
    assert description["unreadable"] == {f"{first}.broken.png": "truncated" for first in (3, 5)}
    assert sorted(content(tmp_path / "store")) == FILES
    assert not (tmp_path / "work").exists()


def test_the_description_is_plain_json(tmp_path: Path) -> None:
    write(tmp_path / "work")
    assert json.loads((tmp_path / "store/store.json").read_text())["provenance"] == "stand-in"


@pytest.mark.parametrize("until", range(len(SIZES)))
@pytest.mark.parametrize("group", [1, 64])
def test_interrupted_work_goes_on_and_gives_the_same_bytes(
    until: int, group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCHES_A_GROUP", group)
    write(tmp_path / "once/work")
    write(tmp_path / "twice/work", until=until)
    assert write(tmp_path / "twice/work") == until
    assert content(tmp_path / "once/store") == content(tmp_path / "twice/store")


def second_part(work: Path) -> Path:
    return work / NAMES[1]


def cut_short(work: Path) -> None:
    os.truncate(second_part(work), second_part(work).stat().st_size - 5)


def empty(work: Path) -> None:
    os.truncate(second_part(work), 0)


def damage_crops(work: Path) -> None:
    with second_part(work).open("r+b") as file:
        file.seek(-7, os.SEEK_END)
        file.write(b"?")


def damage_rows(work: Path) -> None:
    with second_part(work).open("r+b") as file:
        file.seek(20)
        file.write(b"?")


def write_another_value(work: Path) -> None:
    second_part(work).write_bytes(b"null\n")


def leave_a_half_packed_store(work: Path) -> None:
    (work / "packed").mkdir()
    (work / "packed/.manifest.parquet.abc.parquet").write_bytes(b"killed")


def leave_the_work_of_an_earlier_version(work: Path) -> None:
    (work / "crops.npy").write_bytes(b"crops")
    (work / "journal.jsonl").write_bytes(b"{}\n")


@pytest.mark.parametrize(
    ("harm", "kept"),
    [
        (cut_short, 1),
        (empty, 1),
        (damage_crops, 1),
        (damage_rows, 1),
        (write_another_value, 1),
        (leave_a_half_packed_store, 2),
        (leave_the_work_of_an_earlier_version, 2),
    ],
)
def test_what_a_kill_leaves_half_written_is_done_again(harm: Callable[[Path], None], kept: int, tmp_path: Path) -> None:
    write(tmp_path / "once/work")
    write(tmp_path / "twice/work", until=2)
    harm(tmp_path / "twice/work")
    assert write(tmp_path / "twice/work") == kept
    assert content(tmp_path / "once/store") == content(tmp_path / "twice/store")


def test_work_on_other_inputs_is_kept_where_they_are_the_same(tmp_path: Path) -> None:
    write(tmp_path / "once/work")
    write(tmp_path / "twice/work", until=3)
    assert write(tmp_path / "twice/work", [NAMES[0], "changed", *NAMES[2:]]) == 2
    assert content(tmp_path / "once/store") == content(tmp_path / "twice/store")


def test_of_wholly_other_work_nothing_is_kept(tmp_path: Path) -> None:
    write(tmp_path / "work", until=3)
    assert list(CropWriter(tmp_path / "work").resume(["other"])) == []
    assert list((tmp_path / "work").iterdir()) == []


def refused(count: int) -> CropBatch:
    """The second batch with so many crops and a picture that the system would not read out."""
    whole = BATCHES[1]
    return CropBatch(whole.crops[:count], whole.rows[:count], {"004.png": "Permission denied"}, ["004.png"])


@pytest.mark.parametrize("stopped", [False, True])
def test_what_the_system_refused_is_tried_again_and_nothing_else(stopped: bool, tmp_path: Path) -> None:
    write(tmp_path / "once/work")
    writer = CropWriter(tmp_path / "twice/work")
    list(writer.resume(NAMES))
    for name, its_batch in zip(NAMES[:3], [BATCHES[0], refused(1), BATCHES[2]], strict=True):
        writer.append(name, its_batch)
    if stopped:  # after the batch was made again
        assert write(tmp_path / "twice/work", until=2) == 2
    assert write(tmp_path / "twice/work") == (3 if stopped else 2)
    assert content(tmp_path / "once/store") == content(tmp_path / "twice/store")


def test_a_store_that_cannot_take_its_place_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "once/work")
    writer = CropWriter(tmp_path / "twice/work")
    list(writer.resume(NAMES))
    for place in (3, 1, 0, 2):
        writer.append(NAMES[place], BATCHES[place])
    with monkeypatch.context() as patch:
        patch.setattr(module, "move_folder", write_and_fail)
        with pytest.raises(StorageError, match="store: cannot be written"):
            writer.finish(tmp_path / "twice/store", "jaffe", "stand-in", {})
    assert write(tmp_path / "twice/work") == len(NAMES)
    assert content(tmp_path / "once/store") == content(tmp_path / "twice/store")


def write_and_fail(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_is_refused_again_takes_no_more_room(tmp_path: Path) -> None:
    sizes = []
    for _ in range(2):
        writer = CropWriter(tmp_path / "work")
        assert list(writer.resume(NAMES)) == []
        writer.append(NAMES[1], refused(1))
        sizes.append([path.stat().st_size for path in sorted((tmp_path / "work").iterdir())])
    assert sizes[0] == sizes[1]
    writer.finish(tmp_path / "store", "jaffe", "real", {})
    assert read_description(tmp_path / "store")["unreadable"] == {"004.png": "Permission denied"}


def test_a_store_on_another_disk_appears_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "once/work")
    (tmp_path / "twice/disk").mkdir(parents=True)
    (tmp_path / "twice/disk/.store.part-abcd_123").mkdir()
    rename = os.rename

    def on_two_disks(old: Path, new: Path) -> None:
        if Path(old).parent != Path(new).parent:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(old))
        rename(old, new)

    monkeypatch.setattr(os, "rename", on_two_disks)
    writer = CropWriter(tmp_path / "twice/work")
    list(writer.resume(NAMES))
    for name, its_batch in zip(NAMES, BATCHES, strict=True):
        writer.append(name, its_batch)
    writer.finish(tmp_path / "twice/disk/store", "jaffe", "stand-in", {})
    assert content(tmp_path / "once/store") == content(tmp_path / "twice/disk/store")
    assert [path.name for path in (tmp_path / "twice").rglob("*") if path.is_dir()] == ["disk", "store"]


def test_fewer_inputs_than_were_done(tmp_path: Path) -> None:
    write(tmp_path / "work", until=3)
    writer = CropWriter(tmp_path / "work")
    assert len(list(writer.resume(NAMES[:1]))) == 1
    writer.finish(tmp_path / "store", "jaffe", "real", {})
    assert len(CropStore.open(tmp_path / "store").images) == SIZES[0]


def test_a_store_is_replaced_as_a_whole(tmp_path: Path) -> None:
    write(tmp_path / "work")
    (tmp_path / "store/stray").touch()
    write(tmp_path / "work")
    assert sorted(content(tmp_path / "store")) == FILES


def test_without_a_store_the_stage_is_named(tmp_path: Path) -> None:
    write(tmp_path / "work", until=2)
    with pytest.raises(DatasetError, match=r"crops\.npy: missing; run the faces stage"):
        CropStore.open(tmp_path / "store")


def test_a_full_disk_is_named_and_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "work", until=2)

    def full(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(json, "dumps", full)
        patch.setattr(packing, "write_json", full)
        with pytest.raises(StorageError, match=r"work: cannot be written \(No space left on device\)\. Make room"):
            write(tmp_path / "work")
    assert write(tmp_path / "work") == 2


def test_a_part_that_is_damaged_before_it_is_packed_is_named_and_made_again(tmp_path: Path) -> None:
    write(tmp_path / "once/work")
    write(tmp_path / "twice/work", until=3)
    writer = CropWriter(tmp_path / "twice/work")
    list(writer.resume(NAMES))
    damage_crops(tmp_path / "twice/work")
    with pytest.raises(StorageError, match="name 1: damaged since it was written; run the same command again"):
        writer.finish(tmp_path / "twice/store", "jaffe", "stand-in", {})
    assert write(tmp_path / "twice/work") == 2
    assert content(tmp_path / "once/store") == content(tmp_path / "twice/store")


def test_digest_tells_stores_apart(tmp_path: Path) -> None:
    write(tmp_path / "a/work")
    writer = CropWriter(tmp_path / "b/work")
    list(writer.resume(NAMES))
    writer.append(NAMES[0], BATCHES[0])
    writer.finish(tmp_path / "b/store", "jaffe", "stand-in", {})
    a, b = (CropStore.open(tmp_path / name / "store").description["digest"] for name in "ab")
    assert a != b


def test_nothing_that_trains_sees_how_sure_the_detector_was(tmp_path: Path) -> None:
    """Another CPU's last bit in a score must not make everything after the faces stale."""
    for name, score in (("a", 0.99), ("b", 0.9900001)):
        writer = CropWriter(tmp_path / name / "work")
        list(writer.resume(NAMES))
        rows = [row | {"score": score} for row in BATCHES[0].rows]
        writer.append(NAMES[0], CropBatch(BATCHES[0].crops, rows))
        writer.finish(tmp_path / name / "store", "jaffe", "real", {})
    a, b = (content(tmp_path / name / "store") for name in "ab")
    assert {name for name in a if a[name] != b[name]} == {"manifest.parquet"}


def test_wrong_crops_and_rows_are_refused(tmp_path: Path) -> None:
    writer = CropWriter(tmp_path / "work")
    list(writer.resume(NAMES))
    wrongs: list[Any] = [np.zeros((1, 48, 48, 3), dtype=np.uint8), np.zeros((1, CROP_SIZE, CROP_SIZE, 3))]
    for wrong in wrongs:
        with pytest.raises(ValueError, match=r"1 crops are uint8 \(1, 112, 112, 3\)"):
            writer.append("a", CropBatch(wrong, [{}]))
    with pytest.raises(ValueError, match=r"unknown manifest columns: .*colour"):
        writer.append("a", CropBatch(flat(0)[None], [{"colour": "red"}]))


def test_array_and_samples_of_different_length_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a/work")
    write(tmp_path / "b/work", until=3)
    writer = CropWriter(tmp_path / "b/work")
    list(writer.resume(NAMES))
    writer.finish(tmp_path / "b/store", "jaffe", "real", {})
    samples = "store/samples.parquet"
    (tmp_path / "a" / samples).write_bytes((tmp_path / "b" / samples).read_bytes())
    with pytest.raises(DatasetError, match="9 crops but 5 rows"):
        CropStore.open(tmp_path / "a/store")


def test_a_store_with_other_bytes_than_were_written_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "work")
    store = CropStore.open(tmp_path / "store").require_intact()
    crops = tmp_path / "store/crops.npy"
    with crops.open("r+b") as file:
        file.seek(crops.stat().st_size - 1)
        file.write(bytes([store.images[-1, -1, -1, -1] ^ 1]))
    with pytest.raises(DamagedFileError, match=r"store: the file is damaged \(the digest of crops\.npy and samples"):
        CropStore.open(tmp_path / "store").require_intact()
    os.truncate(crops, crops.stat().st_size // 2)
    with pytest.raises(DamagedFileError, match=r"crops\.npy: the file is damaged"):
        CropStore.open(tmp_path / "store")
