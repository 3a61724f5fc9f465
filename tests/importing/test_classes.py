"""What the names of a network's classes mean."""

import pytest

from pipeline.errors import ParamsError
from pipeline.importing.classes import class_map
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE
from tests.importing.networks import EIGHT


def test_names_in_any_order_become_the_seven_and_others_are_left_out() -> None:
    found = class_map(EIGHT)
    assert found.rows == {ANGER: 0, DISGUST: 2, FEAR: 3, HAPPINESS: 4, NEUTRAL: 5, SADNESS: 6, SURPRISE: 7}
    assert (found.left_out, found.missing) == (("Contempt",), ())
    assert "left out, with the others normalised to sum 1: Contempt" in found.sentence()


def test_a_name_can_be_given_a_meaning() -> None:
    found = class_map(["joy=happiness", "sad", "boredom=-", "No Face"])
    assert found.rows == {HAPPINESS: 0, SADNESS: 1}
    assert found.left_out == ("boredom", "No Face")
    assert "joy → happiness" in found.sentence()
    assert found.missing == ("anger", "disgust", "fear", "surprise", "neutral")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["happy", "sadd"], "unknown class 'sadd' (did you mean 'sad'?); write sadd=EXPRESSION"),
        (["happy", "sad", "joy=hapiness"], "unknown class 'hapiness' (did you mean 'happiness'?)"),
        (["happy", "sad", ""], "unknown class ''; write NAME=EXPRESSION"),
        (["happy", "sad", "Happiness"], "happy and Happiness both mean happiness; leave one out with Happiness=-"),
        (["happy", "contempt"], "1 of 2 classes mean an expression of anger"),
    ],
)
def test_what_is_refused(names: list[str], message: str) -> None:
    with pytest.raises(ParamsError) as caught:
        class_map(names)
    assert message in str(caught.value)
