"""RAF-DB: the list decides, the aligned pictures are preferred."""

from pathlib import Path

import pytest

from pipeline.datasets import open_dataset
from pipeline.errors import DatasetError, UnreadableImageError
from pipeline.labels import EXPRESSIONS
from tests.datasets.drawing import save

LIST = "EmoLabel/list_patition_label.txt"


def write_list(root: Path, text: str) -> None:
    (root / "EmoLabel").mkdir(exist_ok=True)
    (root / LIST).write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_list(tmp_path, "".join(f"train_0000{code}.jpg {code}\n" for code in range(1, 8)) + "test_0001.jpg 4\n")
    for name in (*(f"train_0000{code}" for code in range(1, 8)), "test_0001"):
        save(tmp_path / f"Image/aligned/{name}_aligned.jpg", "RGB", (100, 100))
        save(tmp_path / f"Image/original/{name}.jpg", "RGB", (40, 30))
    return tmp_path


def test_codes_parts_and_order(root: Path) -> None:
    samples = open_dataset("rafdb", root).samples()

    assert [s.key for s in samples] == sorted(s.key for s in samples)
    assert (samples[0].key, samples[0].split) == ("Image/aligned/test_0001_aligned.jpg", "test")
    assert {s.split for s in samples[1:]} == {"train"}
    assert [EXPRESSIONS[s.label] for s in samples[1:] if s.label is not None] == [
        "surprise",
        "fear",
        "disgust",
        "happiness",
        "sadness",
        "anger",
        "neutral",
    ]


def test_aligned_pictures_are_read_where_they_are_there_else_the_originals(root: Path) -> None:
    aligned = open_dataset("rafdb", root)
    assert aligned.read(aligned.samples()[0]).shape == (100, 100, 3)

    (root / "Image/aligned").rename(root / "elsewhere")
    original = open_dataset("rafdb", root)
    assert original.samples()[0].key == "Image/original/test_0001.jpg"
    assert original.read(original.samples()[0]).shape == (30, 40, 3)


def test_a_listed_picture_that_is_missing_is_unreadable(root: Path) -> None:
    (root / "Image/aligned/train_00003_aligned.jpg").unlink()
    dataset = open_dataset("rafdb", root)
    samples = dataset.samples()

    assert len(samples) == 8
    with pytest.raises(UnreadableImageError, match=r"train_00003_aligned\.jpg: no such file"):
        dataset.read(samples[3])


def test_a_list_with_tabs_and_endings_in_capitals_is_read(root: Path) -> None:
    write_list(root, "train_00001.JPG\t5\ntest_0001.jpg  4\n")
    assert [sample.key for sample in open_dataset("rafdb", root).samples()] == [
        "Image/aligned/test_0001_aligned.jpg",
        "Image/aligned/train_00001_aligned.jpg",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train_00001.jpg 5\ntrain_00002.jpg 0\n", r"list_patition_label\.txt, line 2: label '0' is not one of 1–7"),
        ("train_00001.jpg 8\n", r"line 1: label '8' is not one of 1–7"),
        ("train_00001.jpg x\n", r"line 1: label 'x' is not one of 1–7"),
        ("train_00001.jpg 5\n\ntrain_00002.jpg\n", r"line 3: 'train_00002.jpg' is not of the form"),
        ("../secret.jpg 5\n", r"line 1: '../secret.jpg 5' is not of the form"),
        ("train_00001.jpg 5\ntrain_00001.jpg 4\n", r"train_00001_aligned\.jpg is listed twice; keep one of the lines"),
        ("\n", r"no pictures"),
    ],
)
def test_a_wrong_list_is_refused_by_line_and_value(root: Path, text: str, message: str) -> None:
    write_list(root, text)

    with pytest.raises(DatasetError, match=message):
        open_dataset("rafdb", root).samples()


def test_a_missing_or_binary_list_is_refused(root: Path) -> None:
    (root / LIST).write_bytes(b"\xff\xfe\x00train")
    with pytest.raises(DatasetError, match=r"list_patition_label\.txt, line 1: not a text in UTF-8"):
        open_dataset("rafdb", root).samples()

    (root / LIST).unlink()
    with pytest.raises(DatasetError, match=r"list_patition_label\.txt, or .* not found(.|\n)*Expected layout"):
        open_dataset("rafdb", root).samples()


def test_a_set_without_picture_folder_is_refused(tmp_path: Path) -> None:
    write_list(tmp_path, "train_00001.jpg 5\n")

    with pytest.raises(DatasetError, match="neither aligned/ nor original/"):
        open_dataset("rafdb", tmp_path).samples()
