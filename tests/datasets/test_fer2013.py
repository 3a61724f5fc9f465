"""FER2013: both CSV files and the folder layout; damaged rows."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets import open_dataset
from pipeline.datasets.parts.base import Sample
from pipeline.errors import DatasetError, UnreadableImageError
from pipeline.labels import ANGER, HAPPINESS, NEUTRAL, SADNESS
from tests.datasets.drawing import save

PICTURES = np.random.default_rng(5).integers(0, 256, (3, 48, 48)).astype(np.uint8)


def pixels(picture: int) -> str:
    return " ".join(str(value) for value in PICTURES[picture].ravel())


def write_csv(root: Path, *rows: str, name: str = "fer2013.csv", header: str = "emotion,pixels,Usage") -> None:
    (root / name).write_text("\n".join((header, *rows)) + "\n")


def test_labels_and_parts(tmp_path: Path) -> None:
    write_csv(tmp_path, f"0,{pixels(0)},Training", f"3,{pixels(1)},PublicTest", f"6,{pixels(2)},PrivateTest")

    dataset = open_dataset("fer2013", tmp_path)
    samples = dataset.samples()

    assert samples == [
        Sample("fer2013.csv:1", ANGER, split="train"),
        Sample("fer2013.csv:2", HAPPINESS, split="val"),
        Sample("fer2013.csv:3", NEUTRAL, split="test"),
    ]
    for sample, picture in zip(samples, PICTURES, strict=True):
        np.testing.assert_array_equal(dataset.read(sample), np.stack([picture] * 3, axis=2))
        assert dataset.read(sample).dtype == np.uint8


def test_blanks_in_the_header_other_order_and_windows_line_ends(tmp_path: Path) -> None:
    text = f"\ufeffemotion, Usage, pixels\r\n4,Training,{pixels(0)}\r\n\r\n3,PrivateTest,{pixels(1)}"
    (tmp_path / "icml_face_data.csv").write_bytes(text.encode())

    dataset = open_dataset("fer2013", tmp_path)
    samples = dataset.samples()

    assert samples == [
        Sample("icml_face_data.csv:1", SADNESS, split="train"),
        Sample("icml_face_data.csv:2", HAPPINESS, split="test"),
    ]
    for sample, picture in zip(samples, PICTURES[:2], strict=True):
        np.testing.assert_array_equal(dataset.read(sample)[:, :, 1], picture)


def test_rows_keep_their_number_when_keys_sort_otherwise(tmp_path: Path) -> None:
    rows = [f"0,{' '.join([str(n)] * 2304)},Training" for n in range(1, 13)]
    write_csv(tmp_path, *rows)

    dataset = open_dataset("fer2013", tmp_path)
    samples = dataset.samples()

    assert [s.key for s in samples[:5]] == [f"fer2013.csv:{n}" for n in (1, 10, 11, 12, 2)]
    assert [int(dataset.read(s)[0, 0, 0]) for s in samples[:5]] == [1, 10, 11, 12, 2]


def test_a_picture_can_be_read_without_listing_first(tmp_path: Path) -> None:
    write_csv(tmp_path, f"0,{pixels(0)},Training", f"0,{pixels(1)},Training")

    picture = open_dataset("fer2013", tmp_path).read(Sample("fer2013.csv:2", ANGER))

    np.testing.assert_array_equal(picture[:, :, 0], PICTURES[1])


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (pixels(0).rpartition(" ")[0], "2303 pixels instead of 2304"),
        (pixels(0) + " 7", "2305 pixels instead of 2304"),
        ("", "0 pixels instead of 2304"),
        (pixels(0) + "x", "pixel '[0-9]+x' is not a whole number from 0 to 255"),
        ("256 " + pixels(0).partition(" ")[2], "pixel '256' is not a whole number"),
        ("-1 " + pixels(0).partition(" ")[2], "pixel '-1' is not a whole number"),
        ("1_0 " + pixels(0).partition(" ")[2], "pixel '1_0' is not a whole number"),
    ],
)
def test_a_row_with_wrong_pixels_is_unreadable_and_the_others_are_not(
    tmp_path: Path, damaged: str, reason: str
) -> None:
    write_csv(tmp_path, f"0,{damaged},Training", f"0,{pixels(1)},Training")
    dataset = open_dataset("fer2013", tmp_path)
    first, second = dataset.samples()

    with pytest.raises(UnreadableImageError, match=rf"^fer2013\.csv:1: {reason}"):
        dataset.read(first)
    np.testing.assert_array_equal(dataset.read(second)[:, :, 0], PICTURES[1])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("7,0 0,Training", r"fer2013\.csv, line 3: emotion '7' is not one of 0–6"),
        ("happy,0 0,Training", "line 3: emotion 'happy'"),
        ("3,0 0,Holdout", "line 3: Usage 'Holdout' is not one of Training, PublicTest, PrivateTest"),
        ("3,0 0", "line 3: 2 columns instead of 3"),
    ],
)
def test_a_wrong_row_is_refused_by_line_and_value(tmp_path: Path, row: str, message: str) -> None:
    write_csv(tmp_path, f"0,{pixels(0)},Training", row)

    with pytest.raises(DatasetError, match=message):
        open_dataset("fer2013", tmp_path).samples()


def test_a_wrong_header_and_an_empty_table_are_refused(tmp_path: Path) -> None:
    write_csv(tmp_path, f"0,{pixels(0)}", header="emotion,pixels")
    with pytest.raises(DatasetError, match="line 1: no column 'usage', found 'emotion, pixels'"):
        open_dataset("fer2013", tmp_path).samples()

    write_csv(tmp_path)
    with pytest.raises(DatasetError, match="no pictures"):
        open_dataset("fer2013", tmp_path).samples()


def test_folders(tmp_path: Path) -> None:
    for name in ("train/angry/Training_1.jpg", "validation/happy/PublicTest_1.jpg", "test/sad/PrivateTest_1.jpg"):
        save(tmp_path / name, size=(48, 48))

    dataset = open_dataset("fer2013", tmp_path)

    assert dataset.samples() == [
        Sample("test/sad/PrivateTest_1.jpg", SADNESS, split="test"),
        Sample("train/angry/Training_1.jpg", ANGER, split="train"),
        Sample("validation/happy/PublicTest_1.jpg", HAPPINESS, split="val"),
    ]
    assert dataset.read(dataset.samples()[0]).shape == (48, 48, 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [("holdout/angry/a.jpg", "'holdout' is not train"), ("train/bored/a.jpg", "unknown class 'bored'")],
)
def test_unknown_folders_are_refused_by_name(tmp_path: Path, name: str, message: str) -> None:
    save(tmp_path / "train/angry/a.jpg")
    save(tmp_path / name)

    with pytest.raises(DatasetError, match=message):
        open_dataset("fer2013", tmp_path).samples()
