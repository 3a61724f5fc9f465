"""A whole data set: what is counted and listed, what ends the work, and how it goes on after an interruption."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from pipeline.config.load import load
from pipeline.config.pictures import DataParams, FaceParams
from pipeline.data.crops import CropStore, read_description
from pipeline.datasets.folder import FolderDataset
from pipeline.datasets.parts.base import Dataset, Sample
from pipeline.errors import DatasetError, UnreadableImageError
from pipeline.faces.batches import FaceBatches
from pipeline.faces.crop import crop_box
from pipeline.faces.extract import extract
from pipeline.faces.writer import summary
from stages import faces as stage
from tests.faces.scenes import Picture, halved, noise, photograph, small_face, two_faces

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
PARAMS = load(ROOT / "params.yaml").faces.model_copy(update={"min_face": 20, "batch_size": 3})
BLIND = PARAMS.model_copy(update={"thresholds": (0.6, 0.7, 1.0)})  # no score exceeds 1: MTCNN sees nothing


class Pictures(Dataset):
    """A data set in memory; a text in place of a picture makes it unreadable with this reason."""

    name = "pictures"
    title = "Pictures"
    layout = "none"

    def __init__(self, root: Path, pictures: Mapping[str, Picture | str], authors_aligned: bool = False) -> None:
        super().__init__(root)
        self._pictures, self._authors_aligned = pictures, authors_aligned

    @property
    def aligned(self) -> bool:
        return self._authors_aligned

    def scan(self) -> Iterable[Sample]:
        return [Sample(key, index % 7, subject="S1", frame=index) for index, key in enumerate(self._pictures)]

    def read(self, sample: Sample) -> Picture:
        picture = self._pictures[sample.key]
        if isinstance(picture, str):
            raise UnreadableImageError(f"{sample.key}: {picture}")
        return picture


def run(
    tmp_path: Path,
    pictures: Mapping[str, Picture | str],
    params: FaceParams = PARAMS,
    max_unreadable: float = 0.0,
    authors_aligned: bool = False,
) -> CropStore:
    dataset = Pictures(tmp_path, pictures, authors_aligned)
    extract(dataset, tmp_path / "store", tmp_path / "work", params, max_unreadable, CPU)
    return CropStore.open(tmp_path / "store")


def test_one_crop_per_picture_in_order(tmp_path: Path) -> None:
    pictures = {"a": noise(1, 1), "b": photograph(), "c": noise(60, 60), "d": halved(photograph()), "e": two_faces()}
    store = run(tmp_path, pictures, PARAMS.model_copy(update={"search": "exact"}))
    manifest = store.manifest
    assert manifest["key"].tolist() == list(pictures)
    assert manifest["label"].tolist() == [0, 1, 2, 3, 4]
    assert manifest["method"].tolist() == ["whole", "mtcnn", "whole", "mtcnn", "mtcnn"]
    assert manifest["faces"].tolist() == [0, 1, 0, 1, 2]
    assert manifest["score"].isna().tolist() == [True, False, True, False, False]
    assert [len(marks) if marks is not None else 0 for marks in manifest["landmarks"]] == [0, 10, 0, 10, 10]
    for crop_in_store, picture, box in zip(store.images, pictures.values(), manifest["box"], strict=True):
        assert (crop_in_store == crop_box(picture, tuple(box), 0.0)).all()
    assert manifest["sharpness"][1] > 100 > manifest["sharpness"][0] == 0.0
    assert store.description["provenance"] == "real"
    counts = summary(tmp_path / "store")
    assert counts.pop("median_score") == pytest.approx(manifest["score"].median(), abs=1e-3)
    assert counts.pop("median_sharpness") == pytest.approx(manifest["sharpness"].median(), abs=0.1)
    assert counts == {
        "pictures": 5,
        "crops": 5,
        "unreadable": 0,
        "mtcnn": 3,
        "haar": 0,
        "whole": 2,
        "given": 0,
        "turned": 0,
        "several_faces": 1,
        "detection_rate": 0.6,
    }


def test_single_pixel_ends_in_a_crop(tmp_path: Path) -> None:
    store = run(tmp_path, {"dot": np.full((1, 1, 3), 9, dtype=np.uint8)})
    assert store.manifest["method"].tolist() == ["whole"]
    assert store.manifest["box"][0].tolist() == [0.0, 0.0, 1.0, 1.0]
    assert (store.images[0] == 9).all()


def test_haar_and_whole_are_counted_and_listed(tmp_path: Path) -> None:
    store = run(tmp_path, {"face": photograph(), "noise": noise(130, 130)}, BLIND)
    assert store.manifest["method"].tolist() == ["haar", "whole"]
    assert store.manifest["faces"].tolist() == [1, 0]
    x1, y1, x2, y2 = store.manifest["box"][0]
    assert x1 < 134 < x2  # the tip of the nose, from the reference
    assert y1 < 108 < y2
    counts = summary(tmp_path / "store")
    assert (counts["mtcnn"], counts["haar"], counts["whole"], counts["detection_rate"]) == (0, 1, 1, 0.0)
    assert "median_score" not in counts


@pytest.mark.parametrize(("enlarge_to", "found"), [(120, True), (1, False)])
def test_the_smallest_faces_are_found_by_enlarging_first(tmp_path: Path, enlarge_to: int, found: bool) -> None:
    tiny = halved(small_face())  # 24×24
    params = PARAMS.model_copy(update={"min_face": 32, "enlarge_to": enlarge_to})
    store = run(tmp_path, {"tiny": tiny}, params)
    assert (store.manifest["method"].tolist() == ["mtcnn"]) == found


def test_similarity_brings_the_eyes_to_the_same_height(tmp_path: Path) -> None:
    upright, turned = photograph(), np.ascontiguousarray(np.rot90(photograph()[:, 32:]))
    params = PARAMS.model_copy(update={"align": "similarity"})
    store = run(tmp_path, {"face": upright, "none": noise(130, 130), "turned": turned}, params)
    assert store.manifest["method"].tolist()[:2] == ["mtcnn", "whole"]
    again = run(tmp_path / "store", {"crop": np.array(store.images[0])}, PARAMS)
    left, right = np.array(again.manifest["landmarks"][0]).reshape(5, 2)[:2]
    assert left == pytest.approx([38.3, 51.7], abs=6.0)
    assert right == pytest.approx([73.5, 51.5], abs=6.0)
    # Where there are no landmarks the crop is the box.
    assert (store.images[1] == crop_box(noise(130, 130), (0.0, 0.0, 130.0, 130.0), 0.0)).all()


def test_margin_widens_boxes_but_not_whole_pictures(tmp_path: Path) -> None:
    pictures = {"face": photograph(), "none": noise(130, 130)}
    tight, wide = (run(tmp_path, pictures, PARAMS.model_copy(update={"margin": margin})) for margin in (0.0, 0.3))
    box = tuple(wide.manifest["box"][0])
    assert tight.manifest["box"][0].tolist() == list(box)
    assert (wide.images[0] == crop_box(photograph(), box, 0.3)).all()


@pytest.mark.parametrize("authors_aligned", [True, False])
@pytest.mark.parametrize("keep", [True, False])
def test_pictures_that_their_authors_aligned_may_be_kept(tmp_path: Path, authors_aligned: bool, keep: bool) -> None:
    params = PARAMS.model_copy(update={"keep_aligned": keep, "margin": 0.2})
    store = run(tmp_path, {"a": photograph()}, params, authors_aligned=authors_aligned)
    if authors_aligned and keep:
        assert store.manifest["method"].tolist() == ["given"]
        assert (store.images[0] == crop_box(photograph(), (0.0, 0.0, 272.0, 240.0), 0.0)).all()
        assert "detection_rate" not in summary(tmp_path / "store")
    else:
        assert store.manifest["method"].tolist() == ["mtcnn"]


def test_unreadable_pictures_are_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    store = run(tmp_path, {"a": noise(9, 9), "b": "cut short", "c": noise(9, 9)}, max_unreadable=0.34)
    assert store.manifest["key"].tolist() == ["a", "c"]
    assert read_description(tmp_path / "store")["unreadable"] == {"b": "b: cut short"}
    counts = summary(tmp_path / "store")
    assert (counts["pictures"], counts["unreadable"]) == (3, 1)


def test_too_many_unreadable_pictures_end_the_work_but_do_not_undo_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures: dict[str, Picture | str] = {"a": noise(9, 9), "b": "cut short", "c": noise(9, 9)}
    with pytest.raises(DatasetError, match=r"(?s)pictures.*b: cut short.*data\.max_unreadable.*is kept"):
        run(tmp_path, pictures, max_unreadable=0.33)
    assert not (tmp_path / "store").exists()
    monkeypatch.setattr(FaceBatches, "__getitem__", None)  # nothing is left to do
    assert run(tmp_path, pictures, max_unreadable=0.34).manifest["key"].tolist() == ["a", "c"]


def test_set_without_any_readable_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="none of the 2 pictures"):
        run(tmp_path, {"a": "empty", "b": "empty"}, max_unreadable=1.0)


def album(folder: Path, pictures: int) -> FolderDataset:
    """A folder of pictures with and without faces, one of them broken."""
    folder.mkdir(parents=True)
    scenes = [photograph(), noise(64, 80), small_face(), two_faces()]
    for index in range(pictures):
        Image.fromarray(np.roll(scenes[index % 4], index, axis=1)).save(folder / f"{index:03d}.png")
    (folder / "001.png").write_bytes(b"not a picture")
    return FolderDataset(folder, "album")


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_any_number_of_processes_gives_the_same_bytes(tmp_path: Path) -> None:
    dataset = album(tmp_path / "album", 14)
    for processes in (1, 2):
        work = tmp_path / f"work{processes}"
        extract(dataset, tmp_path / f"store{processes}", work, PARAMS, 0.1, CPU, processes)
    assert content(tmp_path / "store1") == content(tmp_path / "store2")


def test_there_are_no_more_processes_than_batches(tmp_path: Path) -> None:
    dataset = album(tmp_path / "album", 2)
    extract(dataset, tmp_path / "store", tmp_path / "work", PARAMS, 0.6, CPU, 100_000)
    assert content(tmp_path / "store")


LONG = 75
"""Pictures of an album on which two processes work for seconds, three at a time."""

PROGRAM = """
import sys, torch
from pathlib import Path
from pipeline.datasets.folder import FolderDataset
from pipeline.faces.extract import extract
from tests.faces.test_extract import PARAMS

if __name__ == "__main__":
    root = Path(sys.argv[1])
    extract(FolderDataset(root / "album", "album"), root / "store", root / "work", PARAMS, 0.1, torch.device("cpu"), 2)
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What is made of the album of ``LONG`` pictures at once."""
    folder = tmp_path_factory.mktemp("undisturbed")
    extract(album(folder / "album", LONG), folder / "store", folder / "work", PARAMS, 0.1, CPU, 1)
    return content(folder / "store")


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_at_any_moment_it_goes_on_and_its_processes_end(
    undisturbed: dict[str, bytes], tmp_path: Path, how: signal.Signals
) -> None:
    dataset = album(tmp_path / "album", LONG)
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    work, deadline = tmp_path / "work", time.monotonic() + 400
    while time.monotonic() < deadline and len(list(work.glob("*"))) < 3:
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)  # so that it does not end on a busy machine before it is killed
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 3  # two that work, and the one that they are forked from
    process.send_signal(how)
    process.send_signal(signal.SIGCONT)
    process.wait(60)
    done = len(list(work.iterdir()))
    assert 3 <= done < LONG / 3
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    extract(dataset, tmp_path / "store", tmp_path / "work", PARAMS, 0.1, CPU, 1)
    assert content(tmp_path / "store") == undisturbed


def test_a_picture_that_was_replaced_meanwhile_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, looked_at = album(tmp_path / "album", 9), list[str]()
    work = FaceBatches.__getitem__

    def dying(self: FaceBatches, batch: list[Sample]) -> object:
        looked_at.append(batch[0].key)
        if len(looked_at) == 3:
            raise KeyboardInterrupt
        return work(self, batch)

    monkeypatch.setattr(FaceBatches, "__getitem__", dying)
    with pytest.raises(KeyboardInterrupt):
        extract(dataset, tmp_path / "store", tmp_path / "work", PARAMS, 0.2, CPU, 1)
    Image.fromarray(noise(50, 50)).save(tmp_path / "album/004.png")
    extract(dataset, tmp_path / "store", tmp_path / "work", PARAMS, 0.2, CPU, 1)
    assert looked_at == ["000.png", "003.png", "006.png", "003.png", "006.png"]
    assert CropStore.open(tmp_path / "store").manifest["method"][3] == "whole"


@pytest.mark.slow
def test_what_the_system_refused_is_tried_again_after_its_repair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, looked_at = album(tmp_path / "album", 12), list[str]()
    extract(dataset, tmp_path / "once", tmp_path / "other work", PARAMS, 0.1, CPU, 1)
    (tmp_path / "album/006.png").rename(tmp_path / "006.png")
    (tmp_path / "album/006.png").symlink_to(tmp_path / "vanished.png")
    work, opened = FaceBatches.__getitem__, Path.open

    def noted(self: FaceBatches, batch: list[Sample]) -> object:
        looked_at.append(batch[0].key)
        return work(self, batch)

    def refuse(path: Path, *args: Any, **options: Any) -> Any:
        if path.name == "005.png":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *args, **options)

    monkeypatch.setattr(FaceBatches, "__getitem__", noted)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        with pytest.raises(DatasetError) as raised:
            extract(dataset, tmp_path / "store", tmp_path / "work", PARAMS, 0.2, CPU, 1)
    assert "005.png: [Errno 13] Permission denied" in str(raised.value)
    assert "006.png: no such file" in str(raised.value)
    (tmp_path / "006.png").rename(tmp_path / "vanished.png")
    extract(dataset, tmp_path / "store", tmp_path / "work", PARAMS, 0.2, CPU, 1)
    assert looked_at == ["000.png", "003.png", "006.png", "003.png", "006.png", "009.png"]
    assert content(tmp_path / "store") == content(tmp_path / "once")


def test_other_parameters_begin_anew(tmp_path: Path) -> None:
    pictures: dict[str, Picture | str] = {"a": photograph(), "b": "cut short"}
    with pytest.raises(DatasetError):
        run(tmp_path, pictures)
    store = run(tmp_path, pictures, PARAMS.model_copy(update={"margin": 0.5}), max_unreadable=0.5)
    assert (store.images[0] == crop_box(photograph(), tuple(store.manifest["box"][0]), 0.5)).all()


def test_stage_writes_store_and_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = DataParams(root="sets", sets=(), folder_sets=("mine",), max_unreadable=0.0)
    settings = load(ROOT / "params.yaml").model_copy(update={"data": data, "device": "cpu"})
    monkeypatch.setattr(stage, "load", lambda: settings)
    monkeypatch.chdir(tmp_path)
    for name, picture in (("one", photograph()), ("two", noise(40, 40))):
        path = tmp_path / "sets" / "mine" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    stage.main("mine")
    assert CropStore.open(Path("data/crops/mine")).manifest["key"].tolist() == ["one.png", "two.png"]
    report = json.loads(Path("data/faces/mine.json").read_text(encoding="utf-8"))
    assert (report["pictures"], report["mtcnn"], report["whole"]) == (2, 1, 1)
