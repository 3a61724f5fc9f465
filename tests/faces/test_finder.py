"""Which face is found and chosen in one picture, in the picture's own pixels."""

import numpy as np
import pytest
import torch

from pipeline.config.pictures import FaceParams
from pipeline.faces import finder as module
from pipeline.faces.crop import Face
from pipeline.faces.finder import Chooser, FaceFinder, for_detection
from pipeline.faces.mtcnn import MTCNN, Detection
from tests.faces.scenes import Picture, halved, noise, photograph, two_faces
from tests.faces.test_extract import BLIND, PARAMS

CPU = torch.device("cpu")
EXACT = PARAMS.model_copy(update={"search": "exact"})
THREE = Detection(
    boxes=np.array([[10, 10, 50, 60], [100, 20, 190, 130], [95, 95, 104, 104]], dtype=np.float32),
    landmarks=np.arange(30, dtype=np.float32).reshape(3, 5, 2),
    scores=np.array([0.99, 0.85, 0.81], dtype=np.float32),
)


def find(picture: Picture, params: FaceParams = EXACT) -> Face:
    (face,) = FaceFinder(params, CPU).find([picture], [None], Chooser(params.choose, params.track))
    return face


def test_largest_face_is_chosen() -> None:
    face = find(two_faces())
    assert face.faces == 2
    assert face.box[2] < 290  # the small face stands right of column 295
    assert face.box[2] - face.box[0] > 70


def test_large_first_chooses_the_same() -> None:
    exact, large_first = find(two_faces()), find(two_faces(), PARAMS)
    assert large_first.box == pytest.approx(exact.box, abs=0.5)


@pytest.mark.parametrize(("rule", "row"), [("largest", 1), ("central", 2), ("confident", 0)])
def test_the_rule_decides_and_box_score_and_landmarks_belong_together(
    rule: str, row: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MTCNN, "detect", lambda self, images: [THREE for _ in images])
    face = find(noise(200, 200), EXACT.model_copy(update={"choose": rule}))
    assert face.box == tuple(THREE.boxes[row].tolist())
    assert face.score == pytest.approx(THREE.scores[row])
    assert face.landmarks == THREE.landmarks[row].ravel().tolist()
    assert face.faces == 3


def test_a_sequence_keeps_its_face(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [THREE, Detection(THREE.boxes[[1, 0]] + 4, THREE.landmarks[[1, 0]], THREE.scores[[1, 0]])]
    monkeypatch.setattr(MTCNN, "detect", lambda self, images: seen)
    finder = FaceFinder(EXACT, CPU)
    faces = finder.find([noise(200, 200)] * 2, ["s", "s"], Chooser("confident", track=True))
    assert [face.box[0] for face in faces] == [10.0, 14.0]
    faces = finder.find([noise(200, 200)] * 2, ["s", "t"], Chooser("largest", track=True))
    assert [face.box[0] for face in faces] == [100.0, 104.0]


def test_landmarks_come_back_by_the_centres_of_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MTCNN, "detect", lambda self, images: [THREE for _ in images])
    face = find(noise(48, 48), EXACT.model_copy(update={"enlarge_to": 120}))
    # The centre of the first of 120 pixels is at −0.3 in 48 pixels of 2.5 each.
    assert face.landmarks == pytest.approx([(value + 0.5) * 0.4 - 0.5 for value in range(10, 20)], abs=0.01)


@pytest.mark.parametrize("params", [EXACT, BLIND], ids=["mtcnn", "haar"])
def test_small_picture_is_enlarged_and_boxes_come_back(params: FaceParams) -> None:
    face = find(halved(photograph())[10:90, 25:105], params.model_copy(update={"enlarge_to": 200}))
    assert face.method == ("mtcnn" if params is EXACT else "haar")
    assert all(-0.01 <= edge <= 80 for edge in face.box)
    x1, y1, x2, y2 = face.box
    assert 30 < x2 - x1 < 75
    nose = (134.2 / 2 - 25, 107.8 / 2 - 10)
    assert x1 < nose[0] < x2
    assert y1 < nose[1] < y2
    if face.landmarks is not None:
        assert face.landmarks[4:6] == pytest.approx(nose, abs=2.0)


def test_a_picture_of_very_many_pixels_is_shrunk_and_boxes_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    normal = find(photograph())
    monkeypatch.setattr(module, "MOST_PIXELS", 240 * 272)
    large = find(photograph().repeat(4, axis=0).repeat(4, axis=1))
    assert large.box == pytest.approx([4 * edge for edge in normal.box], abs=4.0)


def test_enlarge_leaves_large_pictures_and_stops_at_strips() -> None:
    picture = noise(120, 300)
    assert for_detection(picture, 120) is picture
    assert for_detection(noise(48, 60), 120).shape == (120, 150, 3)
    assert for_detection(noise(1, 2000), 120).shape == (2, module.LONGEST_SIDE, 3)
    strip = noise(1, 5000)
    assert for_detection(strip, 120) is strip
