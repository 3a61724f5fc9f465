"""Oulu-CASIA: visible light and strong illumination only, first frame and last three."""

from pathlib import Path

import pytest

from pipeline.datasets import open_dataset
from pipeline.errors import DatasetError
from pipeline.labels import ANGER, DISGUST, FEAR, HAPPINESS, NEUTRAL, SADNESS, SURPRISE
from tests.datasets.drawing import save


def add_sequence(root: Path, name: str, frames: int = 5) -> None:
    for frame in range(frames):
        save(root / name / f"{frame:03d}.jpeg", "RGB")


@pytest.mark.parametrize("prefix", ["OriginalImg/", ""])
def test_selection_with_and_without_original_img(tmp_path: Path, prefix: str) -> None:
    add_sequence(tmp_path, f"{prefix}VL/Strong/P001/Anger", frames=20)
    for other in ("NI/Strong", "VL/Weak", "VL/Dark"):
        add_sequence(tmp_path, f"{prefix}{other}/P001/Anger")

    dataset = open_dataset("oulu", tmp_path)
    samples = dataset.samples()

    assert [(s.frame, s.label) for s in samples] == [(0, NEUTRAL), (17, ANGER), (18, ANGER), (19, ANGER)]
    assert samples[0].key == f"{prefix}VL/Strong/P001/Anger/000.jpeg"
    assert {(s.subject, s.sequence, s.split) for s in samples} == {("P001", "P001/Anger", None)}
    assert dataset.read(samples[0]).shape == (7, 9, 3)


def test_the_six_folders(tmp_path: Path) -> None:
    for name in ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise"):
        add_sequence(tmp_path, f"VL/Strong/P080/{name}")

    samples = open_dataset("oulu", tmp_path).samples()

    assert [s.label for s in samples if s.frame == 4] == [ANGER, DISGUST, FEAR, HAPPINESS, SADNESS, SURPRISE]


@pytest.mark.parametrize(
    ("name", "frames", "message"),
    [
        ("P001/Contempt", 5, "P001/Contempt: unknown expression 'Contempt'"),
        ("P001/Neutral", 5, "unknown expression 'Neutral'"),
        ("extras/Anger", 5, "'extras' is not a subject"),
        ("P002/Anger", 3, "P002/Anger: 3 pictures"),
    ],
)
def test_what_does_not_belong_is_refused_by_name(tmp_path: Path, name: str, frames: int, message: str) -> None:
    add_sequence(tmp_path, "VL/Strong/P001/Anger")
    add_sequence(tmp_path, f"VL/Strong/{name}", frames)

    with pytest.raises(DatasetError, match=message):
        open_dataset("oulu", tmp_path).samples()


def test_a_set_without_the_strong_visible_part_is_refused(tmp_path: Path) -> None:
    add_sequence(tmp_path, "OriginalImg/NI/Strong/P001/Anger")

    with pytest.raises(DatasetError, match=r"VL/Strong .* not found"):
        open_dataset("oulu", tmp_path).samples()
