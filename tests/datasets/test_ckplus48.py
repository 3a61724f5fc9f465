"""CK+48: class folders, contempt left out, who and when from the file names."""

from pathlib import Path

import pytest

from pipeline.datasets import open_dataset
from pipeline.datasets.parts.base import Sample
from pipeline.errors import DatasetError
from pipeline.labels import ANGER, HAPPINESS
from tests.datasets.drawing import save


@pytest.mark.parametrize("prefix", ["", "CK+48/"])
def test_labels_and_names(tmp_path: Path, prefix: str) -> None:
    for name in ("anger/S010_004_00000017.png", "happy/S011_006_00000013.png", "contempt/S138_008_00000007.png"):
        save(tmp_path / f"{prefix}{name}", size=(48, 48))

    dataset = open_dataset("ckplus48", tmp_path)

    assert dataset.samples() == [
        Sample(f"{prefix}anger/S010_004_00000017.png", ANGER, "S010", "S010/004", 17),
        Sample(f"{prefix}happy/S011_006_00000013.png", HAPPINESS, "S011", "S011/006", 13),
    ]
    assert dataset.read(dataset.samples()[0]).shape == (48, 48, 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("boredom/S010_004_00000018.png", "unknown class 'boredom'"),
        ("anger/S010_004_00000017 (1).png", r"S010_004_00000017 \(1\)\.png: the name is not of the form"),
        ("loose.png", r"loose\.png: a picture beside the class folders"),
    ],
)
def test_what_does_not_belong_is_refused_by_name(tmp_path: Path, name: str, message: str) -> None:
    save(tmp_path / "anger/S010_004_00000017.png")
    save(tmp_path / name)

    with pytest.raises(DatasetError, match=message):
        open_dataset("ckplus48", tmp_path).samples()


def test_contempt_alone_is_no_set(tmp_path: Path) -> None:
    save(tmp_path / "contempt/S138_008_00000007.png")

    with pytest.raises(DatasetError, match="a folder for each class not found"):
        open_dataset("ckplus48", tmp_path).samples()
