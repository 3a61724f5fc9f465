"""What is drawn: a coloured box, a bar as long as the face is probable, the seven bars where there is room."""

import numpy as np
from PIL import ImageColor

from pipeline.faces.crop import Face
from pipeline.labels import EXPRESSIONS, HAPPINESS
from pipeline.prediction.drawing import COLOURS, draw_faces
from pipeline.prediction.predictor import Prediction

GREY = 110
HAPPY = ImageColor.getrgb(COLOURS["happiness"])


def face(box: tuple[float, float, float, float], share: float) -> Prediction:
    probabilities = np.full(7, (1 - share) / 6, dtype=np.float32)
    probabilities[HAPPINESS] = share
    return Prediction(Face("mtcnn", 1, box, 0.99, None), probabilities)


def canvas(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), GREY, dtype=np.uint8)


def longest(row: np.ndarray) -> int:
    """The longest run of the expression's colour in a row of pixels."""
    runs = "".join("#" if tuple(pixel) == HAPPY else " " for pixel in row).split()
    return max(map(len, runs), default=0)


def test_the_picture_stays_as_it_was_but_for_what_is_drawn() -> None:
    picture = canvas(400, 300)
    drawn = draw_faces(picture, [face((150, 100, 230, 200), 0.9)], [""])
    assert (picture == GREY).all()
    assert tuple(drawn[150, 150]) == HAPPY
    assert (drawn[110:190, 160:220] == GREY).all()  # the face itself is left free


def test_the_bar_of_the_label_is_as_long_as_the_expression_is_probable() -> None:
    lengths = [
        max(longest(row) for row in draw_faces(canvas(200, 200), [face((20, 80, 180, 190), share)], [""])[:78])
        for share in (0.3, 0.6, 0.9)
    ]
    assert lengths[0] > 30
    np.testing.assert_allclose(np.diff(lengths), lengths[0], atol=2)


def test_faces_by_a_model_that_learned_from_drawings_have_the_mark() -> None:
    plain, marked = (
        draw_faces(canvas(400, 300), [face((150, 100, 230, 200), 0.9)], [""], drawn) for drawn in (False, True)
    )
    changed = np.argwhere((plain != marked).any(axis=2))
    assert len(changed) > 30
    assert changed[:, 0].max() <= 100  # in the label above the box


def test_seven_bars_stand_where_they_hide_nothing() -> None:
    beside = draw_faces(canvas(600, 300), [face((100, 80, 200, 200), 0.9)], [""])
    assert (beside[80:200, 215:260] != GREY).any()
    crowded = [face((x, 100, x + 90, 200), 0.9) for x in (5, 100, 195)]
    drawn = draw_faces(canvas(290, 300), crowded, [""] * 3)
    for found in crowded:
        left, top, right, bottom = map(int, found.face.box)
        assert (drawn[top + 6 : bottom - 6, left + 6 : right - 6] == GREY).all()


def test_a_face_at_the_edge_is_labelled_within_the_picture() -> None:
    drawn = draw_faces(canvas(300, 100), [face((0, 0, 60, 80), 0.5)], ["#12 "])
    assert (drawn[:20, :60] != GREY).any()
    assert drawn.shape == (100, 300, 3)


def test_every_expression_has_a_colour_of_its_own() -> None:
    assert len({COLOURS[name] for name in EXPRESSIONS}) == 7
