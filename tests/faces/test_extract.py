"""A whole data set: which face is chosen, what is counted, and what ends the work."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline import params as schema
from pipeline.crops import CropStore
from pipeline.datasets import Dataset, Sample
from pipeline.errors import DatasetError, UnreadableImageError
from pipeline.faces import extract as module
from pipeline.faces.crop import crop
from pipeline.faces.extract import Face, FaceFinder, enlarge, extract, summary
from pipeline.faces.mtcnn import MTCNN, Detection
from pipeline.params import DataParams, FaceParams
from stages import faces as stage
from tests.faces.scenes import Picture, halved, noise, photograph, small_face, two_faces

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
PARAMS = FaceParams(
    min_face=20, scale_factor=0.709, thresholds=(0.6, 0.7, 0.8), enlarge_to=120, margin=0.0, batch_size=3
)
BLIND = PARAMS.model_copy(update={"thresholds": (0.6, 0.7, 1.0)})  # no score exceeds 1: MTCNN sees nothing


class Pictures(Dataset):
    """A data set in memory; a text in place of a picture makes it unreadable with this reason."""

    name = "pictures"
    title = "Pictures"
    layout = "none"

    def __init__(self, root: Path, pictures: Mapping[str, Picture | str]) -> None:
        super().__init__(root)
        self._pictures = pictures

    def scan(self) -> Iterable[Sample]:
        return [Sample(key, index % 7, subject="S1", frame=index) for index, key in enumerate(self._pictures)]

    def read(self, sample: Sample) -> Picture:
        picture = self._pictures[sample.key]
        if isinstance(picture, str):
            raise UnreadableImageError(f"{sample.key}: {picture}")
        return picture


def run(
    tmp_path: Path, pictures: Mapping[str, Picture | str], params: FaceParams = PARAMS, max_unreadable: float = 0.0
) -> CropStore:
    return extract(Pictures(tmp_path, pictures), tmp_path / "store", params, max_unreadable, CPU)


def test_one_crop_per_picture_in_order(tmp_path: Path) -> None:
    pictures = {"a": noise(1, 1), "b": photograph(), "c": noise(60, 60), "d": halved(photograph()), "e": two_faces()}
    store = run(tmp_path, pictures)
    manifest = store.manifest
    assert manifest["key"].tolist() == list(pictures)
    assert manifest["label"].tolist() == [0, 1, 2, 3, 4]
    assert manifest["method"].tolist() == ["whole", "mtcnn", "whole", "mtcnn", "mtcnn"]
    assert manifest["faces"].tolist() == [0, 1, 0, 1, 2]
    assert manifest["score"].isna().tolist() == [True, False, True, False, False]
    assert [len(marks) if marks is not None else 0 for marks in manifest["landmarks"]] == [0, 10, 0, 10, 10]
    for crop_in_store, picture, box in zip(store.images, pictures.values(), manifest["box"], strict=True):
        assert (crop_in_store == crop(picture, tuple(box), 0.0)).all()
    assert store.description["provenance"] == "real"
    assert summary(store) == {
        "pictures": 5,
        "crops": 5,
        "unreadable": 0,
        "mtcnn": 3,
        "haar": 0,
        "whole": 2,
        "detection_rate": 0.6,
        "several_faces": 1,
    }


def test_single_pixel_ends_in_a_crop(tmp_path: Path) -> None:
    store = run(tmp_path, {"dot": np.full((1, 1, 3), 9, dtype=np.uint8)})
    assert store.manifest["method"].tolist() == ["whole"]
    assert store.manifest["box"][0].tolist() == [0.0, 0.0, 1.0, 1.0]
    assert (store.images[0] == 9).all()


def test_largest_face_is_chosen() -> None:
    (face,) = FaceFinder(PARAMS, CPU).find([two_faces()])
    assert face.faces == 2
    assert face.box[2] < 290  # the small face stands right of column 295
    assert face.box[2] - face.box[0] > 70


def test_largest_face_need_not_be_the_surest(monkeypatch: pytest.MonkeyPatch) -> None:
    detection = Detection(
        boxes=np.array([[10, 10, 50, 60], [100, 20, 190, 130], [5, 5, 9, 9]], dtype=np.float32),
        landmarks=np.arange(30, dtype=np.float32).reshape(3, 5, 2),
        scores=np.array([0.99, 0.85, 0.81], dtype=np.float32),
    )
    monkeypatch.setattr(MTCNN, "detect", lambda self, images: [detection for _ in images])
    (face,) = FaceFinder(PARAMS, CPU).find([noise(200, 200)])
    assert face.box == (100.0, 20.0, 190.0, 130.0)
    assert face.score == pytest.approx(0.85)
    assert face.landmarks == [float(value) for value in range(10, 20)]
    assert face.faces == 3


def test_haar_and_whole_are_counted_and_listed(tmp_path: Path) -> None:
    store = run(tmp_path, {"face": photograph(), "noise": noise(130, 130)}, BLIND)
    assert store.manifest["method"].tolist() == ["haar", "whole"]
    assert store.manifest["faces"].tolist() == [1, 0]
    x1, y1, x2, y2 = store.manifest["box"][0]
    assert x1 < 134 < x2  # the tip of the nose, from the reference
    assert y1 < 108 < y2
    counts = summary(store)
    assert (counts["mtcnn"], counts["haar"], counts["whole"], counts["detection_rate"]) == (0, 1, 1, 0.0)


@pytest.mark.parametrize("params", [PARAMS, BLIND], ids=["mtcnn", "haar"])
def test_small_picture_is_enlarged_and_boxes_come_back(params: FaceParams) -> None:
    small = halved(photograph())[10:90, 25:105]
    (face,) = FaceFinder(params.model_copy(update={"enlarge_to": 200}), CPU).find([small])
    assert face.method == ("mtcnn" if params is PARAMS else "haar")
    assert all(-0.01 <= edge <= 80 for edge in face.box)
    x1, y1, x2, y2 = face.box
    assert 30 < x2 - x1 < 75
    nose = (134.2 / 2 - 25, 107.8 / 2 - 10)
    assert x1 < nose[0] < x2
    assert y1 < nose[1] < y2
    if face.landmarks is not None:
        assert face.landmarks[4:6] == pytest.approx(nose, abs=2.0)


def test_face_of_48_pixels_needs_the_enlargement() -> None:
    (enlarged,) = FaceFinder(PARAMS, CPU).find([small_face()])
    assert enlarged.method == "mtcnn"


def test_enlarge_leaves_large_pictures_and_stops_at_strips() -> None:
    picture = noise(120, 300)
    assert enlarge(picture, 120) is picture
    assert enlarge(noise(48, 60), 120).shape == (120, 150, 3)
    assert enlarge(noise(1, 2000), 120).shape == (2, module.LONGEST_SIDE, 3)
    strip = noise(1, 5000)
    assert enlarge(strip, 120) is strip


def test_unreadable_pictures_are_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    store = run(tmp_path, {"a": noise(9, 9), "b": "cut short", "c": noise(9, 9)}, max_unreadable=0.34)
    assert store.manifest["key"].tolist() == ["a", "c"]
    assert store.description["unreadable"] == {"b": "b: cut short"}
    assert (summary(store)["pictures"], summary(store)["unreadable"]) == (3, 1)


def test_too_many_unreadable_pictures_end_the_work(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"(?s)pictures.*b: cut short.*data\.max_unreadable"):
        run(tmp_path, {"a": noise(9, 9), "b": "cut short", "c": noise(9, 9)}, max_unreadable=0.33)
    assert list((tmp_path / "store").iterdir()) == []


def test_set_without_any_readable_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="none of the 2 pictures"):
        run(tmp_path, {"a": "empty", "b": "empty"}, max_unreadable=1.0)


def test_large_pictures_make_smaller_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    find = FaceFinder.find

    def counting(self: FaceFinder, images: list[Picture]) -> list[Face]:
        sizes.append(len(images))
        return find(self, images)

    monkeypatch.setattr(FaceFinder, "find", counting)
    monkeypatch.setattr(module, "PIXELS_AT_ONCE", 2 * 81)
    run(tmp_path, {str(index): noise(9, 9) for index in range(5)})
    assert sizes == [2, 2, 1]


def test_same_bytes_twice(tmp_path: Path) -> None:
    pictures = {"a": photograph(), "b": noise(50, 50)}
    first = run(tmp_path, pictures).description["digest"]
    assert run(tmp_path, pictures).description["digest"] == first


def test_stage_writes_store_and_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = DataParams(root="sets", folder_sets=("mine",), max_unreadable=0.0)
    settings = schema.load(ROOT / "params.yaml").model_copy(update={"data": data, "device": "cpu"})
    monkeypatch.setattr(schema, "load", lambda: settings)
    monkeypatch.chdir(tmp_path)
    for name, picture in (("one", photograph()), ("two", noise(40, 40))):
        path = tmp_path / "sets" / "mine" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    stage.main("mine")
    assert CropStore.open(Path("data/crops/mine")).manifest["key"].tolist() == ["one.png", "two.png"]
    report = json.loads(Path("reports/faces/mine.json").read_text(encoding="utf-8"))
    assert (report["pictures"], report["mtcnn"], report["whole"]) == (2, 1, 1)
