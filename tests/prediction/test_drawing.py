"""What is drawn: a coloured box, a label that hides nothing, a bar as long as the face is probable, the seven bars."""

import numpy as np
import pytest
from PIL import ImageColor, ImageDraw

from pipeline.faces.crop import Face
from pipeline.labels import EXPRESSIONS, HAPPINESS
from pipeline.prediction.drawing import COLOURS, PLATE, draw_faces
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
    drawn = draw_faces(picture, [face((150, 100, 230, 200), 0.9)], [1])
    assert (picture == GREY).all()
    assert tuple(drawn[150, 150]) == HAPPY
    assert (drawn[110:190, 160:220] == GREY).all()  # the face itself is left free


def test_the_bar_of_the_label_is_as_long_as_the_expression_is_probable() -> None:
    lengths = [
        max(longest(row) for row in draw_faces(canvas(200, 200), [face((20, 80, 180, 190), share)], [1])[:78])
        for share in (0.3, 0.6, 0.9)
    ]
    assert lengths[0] > 30
    np.testing.assert_allclose(np.diff(lengths), lengths[0], atol=2)


def test_faces_by_a_model_that_learned_from_drawings_have_the_mark() -> None:
    plain, marked = (
        draw_faces(canvas(400, 300), [face((150, 100, 230, 200), 0.9)], [1], drawn) for drawn in (False, True)
    )
    changed = np.argwhere((plain != marked).any(axis=2))
    assert len(changed) > 30
    assert changed[:, 0].max() <= 100  # in the label above the box


def test_seven_bars_stand_where_they_hide_nothing() -> None:
    beside = draw_faces(canvas(600, 300), [face((100, 80, 200, 200), 0.9)], [1])
    assert (beside[80:200, 215:260] != GREY).any()
    crowded = [face((x, 100, x + 90, 200), 0.9) for x in (5, 100, 195)]
    drawn = draw_faces(canvas(290, 300), crowded, [1, 2, 3])
    for found in crowded:
        left, top, right, bottom = map(int, found.face.box)
        assert (drawn[top + 6 : bottom - 6, left + 6 : right - 6] == GREY).all()


def test_a_face_at_the_edge_is_labelled_within_the_picture() -> None:
    drawn = draw_faces(canvas(300, 100), [face((0, 0, 60, 80), 0.5)], [12])
    assert (drawn[:20, :60] != GREY).any()
    assert drawn.shape == (100, 300, 3)


@pytest.mark.parametrize(
    ("width", "height", "boxes"),
    [
        (420, 260, [(50 * x + 8, 50 * y + 6, 50 * x + 48, 50 * y + 50) for y in range(5) for x in range(8)]),
        (900, 600, [(0, 0, 160, 150), (745, -5, 905, 150), (-9, 450, 150, 605), (740, 440, 900, 600)]),
        (300, 300, [(50, 50, 250, 250), (100, 100, 200, 200), (60, 60, 240, 240), (120, 120, 180, 180)]),
        (120, 120, [(5, 5, 115, 115)]),
        (48, 48, [(4, 2, 44, 47)]),
    ],
    ids=["a crowd", "corners", "one in another", "a face alone", "tiny"],
)
def test_every_face_has_a_label_and_none_leaves_the_picture_or_covers_another(
    width: int, height: int, boxes: list[tuple[float, float, float, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    plates: list[tuple[float, float, float, float]] = []
    texts: list[str] = []
    rectangle, text = ImageDraw.ImageDraw.rectangle, ImageDraw.ImageDraw.text

    def seen(pen: ImageDraw.ImageDraw, place, *rest: object, fill=None, **more: object) -> None:  # type: ignore[no-untyped-def]
        if fill == PLATE:
            plates.append(place)
        rectangle(pen, place, *rest, fill=fill, **more)  # type: ignore[arg-type,misc]

    def written(pen: ImageDraw.ImageDraw, at, what: str, *rest: object, **more: object) -> None:  # type: ignore[no-untyped-def]
        texts.append(what)
        text(pen, at, what, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageDraw.ImageDraw, "rectangle", seen)
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", written)
    draw_faces(
        canvas(width, height), [face(box, 0.3 + 0.6 * (i % 2)) for i, box in enumerate(boxes)], range(3, 3 + len(boxes))
    )
    labels = [what.split()[0] for what in texts if what.startswith("#")]
    assert labels == [f"#{number}" for number in range(3, 3 + len(boxes))]
    for index, (left, top, right, bottom) in enumerate(plates):
        assert left >= 0
        assert top >= 0
        assert right <= width
        assert bottom <= height
        for other in plates[:index]:
            assert left >= other[2] or other[0] >= right or top >= other[3] or other[1] >= bottom


def test_a_face_that_the_model_is_unsure_of_has_a_dashed_frame() -> None:
    sure, unsure = (
        draw_faces(canvas(400, 300), [face((150, 100, 230, 200), share)], [1])[100:201, 150] for share in (0.51, 0.49)
    )
    shares = [np.mean([tuple(pixel) == HAPPY for pixel in column]) for column in (sure, unsure)]
    assert shares[0] > 0.95
    assert 0.4 < shares[1] < 0.75


def test_every_expression_has_a_colour_of_its_own() -> None:
    assert len({COLOURS[name] for name in EXPRESSIONS}) == 7
