"""TFEID: class folders by the names of the release."""

from pathlib import Path

import pytest

from pipeline.datasets import open_dataset
from pipeline.errors import DatasetError
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE
from tests.datasets.drawing import save

CLASS_WORDS = {
    "anger": ANGER,
    "disguest": DISGUST,
    "fear": FEAR,
    "happiness": HAPPINESS,
    "neutral": NEUTRAL,
    "sadness": SADNESS,
    "surprise": SURPRISE,
}


@pytest.mark.parametrize("above", ["", "dfh_all/dfh_un-rimmed/"])
def test_all_classes_but_contempt(above: str, tmp_path: Path) -> None:
    for index, word in enumerate((*CLASS_WORDS, "contempt")):
        save(tmp_path / f"{above}dfh_{word}_x/{'fm'[index % 2]}{index:02d}_dfh_1.jpg", "RGB")
    samples = open_dataset("tfeid", tmp_path).samples()
    assert [(s.label, s.subject) for s in samples] == [
        (label, f"{'fm'[index % 2]}{index:02d}") for index, label in enumerate(CLASS_WORDS.values())
    ]
    assert samples[1].key == f"{above}dfh_disguest_x/m01_dfh_1.jpg"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dfh_proud_x/f01_dfh_1.jpg", "dfh_proud_x: not a class folder such as dfh_anger_x"),
        ("others/f01_dfh_1.jpg", "others: not a class folder"),
        ("dfh_fear_x/holiday.jpg", r"holiday\.jpg: the name does not begin with a model such as f01_"),
    ],
)
def test_what_does_not_belong_is_named(name: str, message: str, tmp_path: Path) -> None:
    save(tmp_path / "dfh_anger_x/f01_dfh_1.jpg", "RGB")
    save(tmp_path / name, "RGB")
    with pytest.raises(DatasetError, match=message):
        open_dataset("tfeid", tmp_path).samples()
