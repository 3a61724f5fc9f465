"""Pictures that lie on their side: the rotation that shows a face, its place in the picture, and an upright crop."""

import numpy as np
import pytest
import torch

from pipeline.faces.crop import Face, crop_face, rotated
from pipeline.faces.finder import ROTATIONS, Chooser, FaceFinder, detect_rotated
from pipeline.faces.mtcnn import Detection
from tests.faces.scenes import Picture, noise, photograph
from tests.faces.test_extract import PARAMS

CPU = torch.device("cpu")
ROTATING = PARAMS.model_copy(update={"turned": True})
NOTHING = Detection(*(np.empty(shape, dtype=np.float32) for shape in ((0, 4), (0, 5, 2), (0,))))


def find(picture: Picture) -> Face:
    return FaceFinder(ROTATING, CPU).find([picture], [None], Chooser("largest", track=False))[0]


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    left, top = np.maximum(first[:2], second[:2])
    right, bottom = np.minimum(first[2:], second[2:])
    inner = max(0.0, right - left) * max(0.0, bottom - top)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return float(inner / (sum(areas) - inner))


@pytest.mark.parametrize("degrees", ROTATIONS)
def test_what_is_found_in_a_rotated_picture_lies_where_it_is_in_the_picture(degrees: int) -> None:
    """A white pixel's corners are the box, its centre every landmark, whatever the picture's sides are."""
    picture = np.zeros((5, 8, 3), dtype=np.uint8)
    picture[1, 6] = 255

    def detect(images: list[Picture]) -> list[Detection]:
        if images[0].shape != rotated(picture, degrees).shape or not (images[0] == rotated(picture, degrees)).all():
            return [NOTHING]
        y, x = np.argwhere(images[0][:, :, 0])[0].astype(np.float32)
        landmarks = np.tile(np.array([x, y], dtype=np.float32), (1, 5, 1))
        return [Detection(np.array([[x, y, x + 1, y + 1]], np.float32), landmarks, np.ones(1, np.float32))]

    ((found, detection),) = detect_rotated(detect, [picture], [NOTHING])
    assert found == degrees
    assert detection.boxes.tolist() == [[6.0, 1.0, 7.0, 2.0]]
    assert detection.landmarks.tolist() == [[[6.0, 1.0]] * 5]


def test_the_best_score_decides_and_a_picture_with_a_face_is_left_alone() -> None:
    sizes: list[int] = []

    def detect(images: list[Picture]) -> list[Detection]:
        sizes.append(len(images))
        score = [0.8, 0.9, 0.85][len(sizes) - 1]
        boxes, landmarks = np.ones((1, 4), np.float32), np.ones((1, 5, 2), np.float32)
        return [Detection(boxes, landmarks, np.array([score], np.float32)) for _ in images]

    (there,) = detect([noise(20, 20)])
    sizes.clear()
    found = detect_rotated(detect, [noise(20, 20), noise(20, 20)], [there, NOTHING])
    assert [degrees for degrees, _ in found] == [0, 180]
    assert found[0][1] is there
    assert sizes == [1, 1, 1]


@pytest.mark.parametrize("degrees", [0, *ROTATIONS])
@pytest.mark.parametrize("align", ["box", "similarity"])
def test_a_photograph_on_its_side_ends_in_the_crop_of_the_upright_one(degrees: int, align: str) -> None:
    upright, lying = photograph(), rotated(photograph(), degrees)
    params = ROTATING.model_copy(update={"align": align})
    expected, face = find(upright), find(lying)
    assert face.method == "mtcnn"
    assert face.rotation == (360 - degrees) % 360
    difference = np.abs(crop_face(lying, face, params).astype(int) - crop_face(upright, expected, params).astype(int))
    assert difference.mean() < 8.0
    if align == "box":
        box = rotated(_mask(upright, expected.box), degrees)[:, :, 0].nonzero()
        where = np.array([box[1].min(), box[0].min(), box[1].max() + 1, box[0].max() + 1])
        assert overlap(np.array(face.box), where) > 0.85


def _mask(picture: Picture, box: tuple[float, float, float, float]) -> Picture:
    mask = np.zeros_like(picture)
    left, top, right, bottom = (round(value) for value in box)
    mask[top:bottom, left:right] = 1
    return mask


def test_every_face_of_a_lying_picture_is_found_and_without_the_parameter_none() -> None:
    lying = rotated(photograph(), 90)
    assert [face.rotation for face in FaceFinder(ROTATING, CPU).find_all([lying])[0]] == [270]
    assert FaceFinder(PARAMS, CPU).find_all([lying]) == [[]]
