"""SFEW 2.0: Train and Val, nested or not; Test is not read."""

from pathlib import Path

import pytest

from pipeline.datasets import open_dataset
from pipeline.datasets.parts.base import Sample
from pipeline.errors import DatasetError
from pipeline.labels import EXPRESSIONS, HAPPINESS, SADNESS
from tests.datasets.drawing import save


@pytest.mark.parametrize(("train", "val"), [("Train", "Val"), ("Train/Train", "Val/Val"), ("Train", "Val/Val")])
def test_parts_and_labels(tmp_path: Path, train: str, val: str) -> None:
    save(tmp_path / train / "Happy/film_1.png", "RGB")
    save(tmp_path / val / "Sad/film_2.png", "RGB")
    save(tmp_path / "Test/film_3.png", "RGB")

    dataset = open_dataset("sfew", tmp_path)

    assert dataset.samples() == [
        Sample(f"{train}/Happy/film_1.png", HAPPINESS, split="train"),
        Sample(f"{val}/Sad/film_2.png", SADNESS, split="val"),
    ]
    assert dataset.read(dataset.samples()[1]).shape == (7, 9, 3)


def test_the_seven_folders(tmp_path: Path) -> None:
    names = ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
    for name in names:
        save(tmp_path / f"Train/{name}/a.png")
        save(tmp_path / f"Val/{name}/a.png")

    samples = open_dataset("sfew", tmp_path).samples()

    assert {s.key.split("/")[1]: s.label for s in samples} == dict(zip(names, range(len(EXPRESSIONS)), strict=True))
    assert len(samples) == 14


def test_an_unknown_class_folder_is_refused(tmp_path: Path) -> None:
    for name in ("Train/Angry/a.png", "Val/Angry/a.png", "Val/Bored/a.png"):
        save(tmp_path / name)

    with pytest.raises(DatasetError, match="Val/Bored: unknown class 'Bored'"):
        open_dataset("sfew", tmp_path).samples()


def test_a_missing_part_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "Train/Angry/a.png")

    with pytest.raises(DatasetError, match=r"a folder Val not found(.|\n)*Expected layout of SFEW"):
        open_dataset("sfew", tmp_path).samples()
