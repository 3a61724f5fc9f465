"""Faces keep their number while their boxes overlap, through short gaps, and not longer."""

from pipeline.prediction.tracks import PATIENCE, Tracks

LEFT, RIGHT = (0.0, 0.0, 100.0, 100.0), (300.0, 0.0, 400.0, 100.0)


def moved(box: tuple[float, float, float, float], by: float) -> tuple[float, float, float, float]:
    return box[0] + by, box[1], box[2] + by, box[3]


def test_faces_keep_their_numbers_whatever_their_order() -> None:
    tracks = Tracks()
    assert tracks.follow([LEFT, RIGHT]) == [1, 2]
    assert tracks.follow([moved(RIGHT, 20), moved(LEFT, 20)]) == [2, 1]


def test_a_jump_is_another_face() -> None:
    tracks = Tracks()
    assert tracks.follow([LEFT]) == [1]
    assert tracks.follow([moved(LEFT, 60)]) == [2]  # 40 of 160: a quarter


def test_two_boxes_on_one_face_share_no_number_and_the_nearer_one_keeps_it() -> None:
    tracks = Tracks()
    assert tracks.follow([LEFT]) == [1]
    assert tracks.follow([moved(LEFT, 30), moved(LEFT, 5)]) == [2, 1]


def test_a_gap_is_bridged_while_patience_lasts() -> None:
    for gap, number in ((PATIENCE - 1, 1), (PATIENCE, 2)):
        tracks = Tracks()
        assert tracks.follow([LEFT]) == [1]
        for _ in range(gap):
            assert tracks.follow([]) == []
        assert tracks.follow([LEFT]) == [number]
