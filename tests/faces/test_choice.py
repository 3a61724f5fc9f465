"""Which face is taken: by rule, and in a sequence by its track."""

import numpy as np
import pytest

from pipeline.config.pictures import FaceRule
from pipeline.faces.boxes import Boxes
from pipeline.faces.finder import Chooser

LARGE, CENTRAL, SURE = [0.0, 0.0, 60.0, 60.0], [85.0, 85.0, 115.0, 115.0], [150.0, 150.0, 190.0, 190.0]
BOXES = np.array([LARGE, CENTRAL, SURE])
SCORES = np.array([0.85, 0.9, 0.99], dtype=np.float32)
SIZE = (200, 200)


def near(box: list[float], by: float) -> list[float]:
    return [edge + by for edge in box]


@pytest.mark.parametrize(("rule", "chosen"), [("largest", 0), ("central", 1), ("confident", 2)])
def test_rules(rule: FaceRule, chosen: int) -> None:
    assert Chooser(rule, track=False).choose(BOXES, SCORES, SIZE, None) == chosen


def test_central_is_measured_from_the_centre_of_the_picture() -> None:
    assert Chooser("central", track=False).choose(BOXES, SCORES, (340, 340), None) == 2


def test_of_equals_the_first() -> None:
    same: Boxes = np.array([CENTRAL, near(CENTRAL, 0.0)])
    assert Chooser("largest", track=False).choose(same, np.array([0.5, 0.5]), SIZE, None) == 0


def test_a_track_is_continued_against_the_rule_and_apart_for_each_sequence() -> None:
    chooser = Chooser("largest", track=True)
    assert chooser.choose(BOXES[1:2], SCORES[1:2], SIZE, "a") == 0
    assert chooser.choose(np.array([near(LARGE, 2.0), near(CENTRAL, 5.0), SURE]), SCORES, SIZE, "a") == 1
    assert chooser.choose(np.array([near(LARGE, 4.0), near(CENTRAL, 10.0), SURE]), SCORES, SIZE, "a") == 1
    assert chooser.choose(BOXES, SCORES, SIZE, "b") == 0
    assert chooser.choose(BOXES, SCORES, SIZE, None) == 0


def test_a_track_that_is_lost_begins_anew_by_the_rule() -> None:
    chooser = Chooser("largest", track=True)
    chooser.choose(BOXES[1:2], SCORES[1:2], SIZE, "a")
    assert chooser.choose(BOXES[[0, 2]], SCORES[[0, 2]], SIZE, "a") == 0
    assert chooser.choose(BOXES, SCORES, SIZE, "a") == 0  # and that face is the one that is followed


def test_without_track_every_picture_stands_for_itself() -> None:
    chooser = Chooser("largest", track=False)
    chooser.choose(BOXES[1:2], SCORES[1:2], SIZE, "a")
    assert chooser.choose(BOXES, SCORES, SIZE, "a") == 0
