"""A user's own folder: labelled by class folders, unlabelled without them."""

import sys
from pathlib import Path

import pytest

from pipeline.datasets import open_dataset
from pipeline.datasets.parts.base import Sample
from pipeline.errors import DatasetError
from pipeline.labels import ANGER, HAPPINESS, NEUTRAL, SURPRISE
from tests.datasets.drawing import save


def fill(root: Path, *names: str) -> None:
    for name in names:
        save(root / name)


def test_class_folders_in_any_spelling_label_the_pictures(tmp_path: Path) -> None:
    fill(tmp_path, "ANGRY/a.png", "happiness/deep/er/b.jpg", "Surprised/c.png", "ne/d.webp")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/readme.txt").write_text("no picture in here")

    dataset = open_dataset("mine", tmp_path)

    assert dataset.samples() == [
        Sample("ANGRY/a.png", ANGER),
        Sample("Surprised/c.png", SURPRISE),
        Sample("happiness/deep/er/b.jpg", HAPPINESS),
        Sample("ne/d.webp", NEUTRAL),
    ]
    assert (dataset.name, dataset.title) == ("mine", "mine")
    assert dataset.read(dataset.samples()[0]).shape == (7, 9, 3)


def test_without_class_folders_pictures_are_unlabelled(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "holiday/2024/b.jpg", ".thumbnails/c.png", "holiday/._b.jpg")

    assert open_dataset("mine", tmp_path).samples() == [Sample("a.png", None), Sample("holiday/2024/b.jpg", None)]


def test_each_part_decides_for_itself_whether_it_is_labelled(tmp_path: Path) -> None:
    fill(tmp_path, "train/a.png", "train/more/b.png", "Test/happy/c.png", "validation/happy/d.png")

    assert open_dataset("mine", tmp_path).samples() == [
        Sample("Test/happy/c.png", HAPPINESS, split="test"),
        Sample("train/a.png", None, split="train"),
        Sample("train/more/b.png", None, split="train"),
        Sample("validation/happy/d.png", HAPPINESS, split="val"),
    ]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("happy/a.png", "contempt/b.png"), "contempt: unknown class 'contempt'"),
        (("train/happy/a.png", "train/others/b.png"), "train/others: unknown class 'others'"),
        (("happy/a.png", "b.png"), r"b\.png: a picture beside the class folders"),
        (("train/a.png", "happy/b.png"), "'happy' is not train, val or test"),
        (("train/a.png", "b.png"), r"b\.png: a picture beside the folders train"),
        ((), "no pictures"),
    ],
)
def test_a_mixture_is_refused_by_name(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    fill(tmp_path, *names)

    with pytest.raises(DatasetError, match=message):
        open_dataset("mine", tmp_path).samples()


def test_a_file_name_that_is_not_unicode_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        fill(tmp_path, "caf\udce9.png")
    except OSError as error:
        pytest.skip(f"this file system takes only UTF-8 names: {error}")

    with pytest.raises(DatasetError, match=r"the file name .*caf\\xe9.png is not UTF-8; rename the file"):
        open_dataset("mine", tmp_path).samples()
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    with pytest.raises(DatasetError, match=r"xe9.png cannot be read in a locale of ascii; set LC_ALL=C.UTF-8"):
        open_dataset("mine", tmp_path).samples()
