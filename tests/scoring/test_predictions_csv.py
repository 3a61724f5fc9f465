"""Predictions from a CSV: what is read, how pictures are found, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DatasetError
from pipeline.labels import EXPRESSIONS, FEAR, HAPPINESS, NEUTRAL
from pipeline.scoring.predicted import Predicted
from pipeline.scoring.predictions_csv import read_predictions

KEYS = ["fear/a.png", "fear/b.png", "happy/a.png", "happy/c.png"]


def read(folder: Path, text: str | bytes) -> Predicted:
    path = folder / "other.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_predictions(path, KEYS)


def test_words_of_any_spelling_are_read_and_pictures_are_found_by_what_is_enough(tmp_path: Path) -> None:
    text = "Image,Emotion\n/far/away/fear/a.png,AFRAID\nb.png,happy\nhappy\\a.png,Neutral\nelsewhere.png,sad\n"
    found = read(tmp_path, b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert found.known.tolist() == [True, True, True, False]
    assert found.classes[found.known].tolist() == [FEAR, HAPPINESS, NEUTRAL]
    assert found.probabilities is None
    assert found.notes == ("1 rows are of other pictures",)
    assert found.name.endswith("other.csv")


def test_probabilities_decide_and_are_made_to_sum_to_one(tmp_path: Path) -> None:
    text = "picture,expression,p_happy,p_fear\nfear/a.png,fear,30,10\nfear/b.png,fear,0.5,0.5\n"
    found = read(tmp_path, text)
    assert found.probabilities is not None
    np.testing.assert_allclose(found.probabilities[0, [HAPPINESS, FEAR]], [0.75, 0.25])
    assert found.classes[0] == HAPPINESS
    assert found.notes[0] == "probabilities of 1 rows do not sum to 1: they are divided by their sum"
    assert found.notes[1].startswith("no column for anger, disgust, sadness, surprise, neutral")


def test_of_several_faces_the_first_counts_and_an_empty_row_predicts_nothing(tmp_path: Path) -> None:
    text = "source,face,expression\nfear/a.png,2,anger\nfear/a.png,1,fear\nfear/b.png,,\n"
    found = read(tmp_path, text)
    assert found.known.tolist() == [True, False, False, False]
    assert EXPRESSIONS[found.classes[0]] == "fear"


def test_tables_of_other_separators_and_shorter_rows_are_read_as_labels_are(tmp_path: Path) -> None:
    found = read(tmp_path, "picture;expression;note\n\nfear/a.png;fear\nhappy/c.png\nfear/b.png;sad;by me;\n")
    assert found.known.tolist() == [True, True, False, False]
    assert [EXPRESSIONS[label] for label in found.classes[:2]] == ["fear", "sadness"]


def test_a_decimal_comma_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, "picture;p_fear;p_happy\nfear/a.png;0,25;0,75\n")
    assert found.probabilities is not None
    np.testing.assert_allclose(found.probabilities[0, [FEAR, HAPPINESS]], [0.25, 0.75])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("file_x,expression\n", "line 1: no column 'picture'"),
        ("picture,score\n", "line 1: neither a column 'expression' nor columns of probabilities"),
        ("picture,expression\nfear/a.png,contempt\n", "line 2: 'contempt' is none of anger, disgust"),
        ("picture,expression\nfear/a,b.png,fear\n", "line 2: 3 columns instead of 2"),
        ("picture,expression\nfear/a.png,fear\na/fear/a.png,fear\n", "line 3: a second row for fear/a.png"),
        ("picture,p_fear,p_anger\nb.png,0.5\n", "line 2: '' is not a probability of anger"),
        ("picture,expression\na.png,fear\n", "line 2: several pictures are called 'a.png'"),
        ("picture,expression\nz.png,fear\n", "none of its 1 rows is a prediction for one of the 4 pictures"),
        ("picture,p_fear,p_anger\nb.png,-1,2\n", "line 2: '-1' is not a probability of fear"),
        ("picture,p_fear,p_anger\nb.png,1_0,2\n", "line 2: '1_0' is not a probability of fear"),
        ("picture,p_fear,p_anger\nb.png,,\nhappy/c.png,,\n", "no prediction in the 2 rows of these pictures; fill in"),
        ("picture,p_fear,p_anger\nb.png,nan,2\n", "line 2: 'nan' is not a probability of fear"),
        ("picture,p_fear,p_anger\nb.png,0,0\n", "line 2: all probabilities are 0"),
        ('picture,expression\n"b.png,fear\n', "line 2: not a row of a table"),
        (b"picture,expression\nb.png,\xe9\n", "line 2: not a text in UTF-8"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_line_in_one_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DatasetError) as error:
        read(tmp_path, text)
    assert message in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "other.csv"))
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere\.csv: no such file"):
        read_predictions(tmp_path / "nowhere.csv", KEYS)
