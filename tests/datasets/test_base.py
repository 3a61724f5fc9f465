"""What holds for every data set: the registry, the missing folder, provenance."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.datasets import DATASETS, open_dataset
from pipeline.datasets.parts.classes import CLASS_WORDS, class_of, part_of
from pipeline.errors import DatasetError
from pipeline.labels import NUM_CLASSES
from tests.datasets.drawing import save


def test_every_set_is_registered_by_its_own_name() -> None:
    assert all(reader.name == name and reader.title for name, reader in DATASETS.items())


@pytest.mark.parametrize("name", [*DATASETS, "mine"])
def test_a_missing_folder_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError) as caught:
        open_dataset(name, tmp_path / "nowhere")

    message = str(caught.value)
    assert f"{tmp_path / 'nowhere'}: no such folder; unpack" in message
    assert "set data.root" in message
    assert "Expected layout" in message


@pytest.mark.parametrize("name", [*DATASETS, "mine"])
def test_an_empty_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match="Expected layout"):
        open_dataset(name, tmp_path).samples()


def test_provenance_is_marked_by_a_file(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    assert open_dataset("mine", tmp_path).provenance == "real"

    (tmp_path / "STAND-IN.json").write_text("{}")
    assert open_dataset("mine", tmp_path).provenance == "stand-in"
    assert [s.key for s in open_dataset("mine", tmp_path).samples()] == ["a.png"]


def test_spellings_are_distinct_and_complete() -> None:
    words = [word for spellings in CLASS_WORDS.values() for word in spellings]
    assert len(set(words)) == len(words)
    assert sorted(CLASS_WORDS) == list(range(NUM_CLASSES))
    assert all(class_of(word.upper()) == label for label, spellings in CLASS_WORDS.items() for word in spellings)
    assert class_of("contempt") is None
    assert [part_of(word) for word in ("Train", "VALIDATION", "test", "angry")] == ["train", "val", "test", None]


def test_readers_and_splits_do_not_load_torch() -> None:
    code = "import sys, pipeline.datasets, pipeline.splits.protocols; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
