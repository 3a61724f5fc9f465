"""CK+: first frame and last three of each labelled sequence, contempt left out."""

import shutil
from pathlib import Path

import pytest

from pipeline.datasets import open_dataset
from pipeline.errors import DatasetError
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE
from tests.datasets.drawing import save


def add_sequence(root: Path, name: str, frames: int, emotion: str | None) -> Path:
    """Frames 1 to ``frames``; ``emotion`` is the text of the label file, None: an empty folder."""
    stem = name.replace("/", "_")
    for frame in range(1, frames + 1):
        save(root / f"cohn-kanade-images/{name}/{stem}_{frame:08d}.png", seed=frame)
    folder = root / "Emotion" / name
    folder.mkdir(parents=True)
    label = folder / f"{stem}_{frames:08d}_emotion.txt"
    if emotion is not None:
        label.write_text(emotion)
    return label


def test_first_frame_is_neutral_and_the_last_three_carry_the_label(tmp_path: Path) -> None:
    add_sequence(tmp_path, "S005/001", 11, "   3.0000000e+00\n")

    samples = open_dataset("ckplus", tmp_path).samples()

    assert [(s.frame, s.label) for s in samples] == [(1, NEUTRAL), (9, DISGUST), (10, DISGUST), (11, DISGUST)]
    assert samples[0].key == "cohn-kanade-images/S005/001/S005_001_00000001.png"
    assert {(s.subject, s.sequence, s.split) for s in samples} == {("S005", "S005/001", None)}


def test_codes_and_selection(tmp_path: Path) -> None:
    for code in range(8):
        add_sequence(tmp_path, f"S010/00{code}", 5, f"   {code}.0000000e+00\n")
    add_sequence(tmp_path, "S011/001", 5, None)
    save(tmp_path / "cohn-kanade-images/S012/001/S012_001_00000001.png")  # not even a folder in Emotion

    dataset = open_dataset("ckplus", tmp_path)
    samples = dataset.samples()

    peaks = {s.sequence: s.label for s in samples if s.frame == 5}
    assert peaks == {
        "S010/000": NEUTRAL,
        "S010/001": ANGER,
        "S010/003": DISGUST,
        "S010/004": FEAR,
        "S010/005": HAPPINESS,
        "S010/006": SADNESS,
        "S010/007": SURPRISE,
    }
    assert len(samples) == 7 * 4
    assert all(dataset.read(s).shape == (7, 9, 3) for s in samples)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"S005_001_00000005_emotion\.txt: expected a number from 0 to 7, found an empty file; unpack"),
        ("  \n", "found an empty file"),
        ("happy", r"_emotion\.txt: expected a number from 0 to 7, found 'happy'"),
        ("8.0", r"_emotion\.txt: emotion code 8\.0 is not one of 0–7"),
        ("-1", "emotion code -1 is not one of 0–7"),
        ("2.5", r"emotion code 2\.5 is not one of 0–7"),
        ("nan", "emotion code nan is not one of 0–7"),
    ],
)
def test_a_wrong_emotion_file_is_refused_by_name_and_value(tmp_path: Path, text: str, message: str) -> None:
    add_sequence(tmp_path, "S005/001", 5, text)

    with pytest.raises(DatasetError, match=message):
        open_dataset("ckplus", tmp_path).samples()


def test_an_ending_in_capitals_is_read_and_a_misspelt_one_is_mentioned(tmp_path: Path) -> None:
    for sequence in ("S005/001", "S010/002", "S011/003"):
        label = add_sequence(tmp_path, sequence, 5, "\ufeff   3.0000000e+00\n")
        label.rename(label.with_name(label.name.replace("_emotion.txt", "_EMOTION.TXT")))
    misspelt = tmp_path / "Emotion/S011/003/S011_003_00000005_emotions.txt"
    misspelt.with_name("S011_003_00000005_EMOTION.TXT").rename(misspelt)
    dataset = open_dataset("ckplus", tmp_path)
    assert {sample.sequence for sample in dataset.samples()} == {"S005/001", "S010/002"}
    assert dataset.reading_notes == (
        "Emotion/S011/003 left out, as S011_003_00000005_emotions.txt is not named …_emotion.txt"
    )


def test_two_emotion_files_are_refused(tmp_path: Path) -> None:
    label = add_sequence(tmp_path, "S005/001", 5, "1.0")
    label.with_name("S005_001_00000004_emotion.txt").write_text("2.0")

    with pytest.raises(DatasetError, match="2 emotion files"):
        open_dataset("ckplus", tmp_path).samples()


def test_a_labelled_sequence_without_enough_pictures_is_refused(tmp_path: Path) -> None:
    add_sequence(tmp_path, "S005/001", 3, "1.0")
    with pytest.raises(DatasetError, match=r"S005/001: 3 pictures"):
        open_dataset("ckplus", tmp_path).samples()

    (tmp_path / "cohn-kanade-images/S005/001").rename(tmp_path / "moved")
    with pytest.raises(DatasetError, match=r"cohn-kanade-images/S005/001: no such folder, but .*Emotion/S005/001"):
        open_dataset("ckplus", tmp_path).samples()


@pytest.mark.parametrize(
    ("name", "message"),
    [("S005_001_00000004.jpg", "two files are frame 4"), ("portrait.png", "does not end in a frame number")],
)
def test_a_foreign_picture_in_a_sequence_is_refused(tmp_path: Path, name: str, message: str) -> None:
    add_sequence(tmp_path, "S005/001", 5, "1.0")
    save(tmp_path / "cohn-kanade-images/S005/001" / name)

    with pytest.raises(DatasetError, match=message):
        open_dataset("ckplus", tmp_path).samples()


@pytest.mark.parametrize("folder", ["Emotion", "cohn-kanade-images"])
def test_a_missing_top_folder_is_refused_by_name(tmp_path: Path, folder: str) -> None:
    add_sequence(tmp_path, "S005/001", 5, "1.0")
    shutil.rmtree(tmp_path / folder)

    with pytest.raises(DatasetError, match=f"{folder} with subjects .* not found(.|\n)*Expected layout of CK"):
        open_dataset("ckplus", tmp_path).samples()


def test_a_set_without_any_label_is_refused(tmp_path: Path) -> None:
    add_sequence(tmp_path, "S005/001", 5, None)

    with pytest.raises(DatasetError, match="no pictures"):
        open_dataset("ckplus", tmp_path).samples()
