"""Whole sets on disk: the same bytes every time, pictures of the right kind, and never half a set."""

import errno
import hashlib
import json
from pathlib import Path

import cv2
import pytest

from pipeline.datasets import open_dataset
from pipeline.errors import DatasetError, StorageError
from pipeline.standins import draw, writing

SETS = ("rafdb", "ckplus", "jaffe", "oulu", "fer2013", "sfew")
SEED, SCALE = 7, 0.05


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


pytestmark = pytest.mark.slow  # all sets are drawn first


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All six sets, each drawn by one process."""
    folder = tmp_path_factory.mktemp("standins")
    for dataset in SETS:
        draw(dataset, folder / dataset, SEED, SCALE, workers=1)
    return folder


@pytest.mark.parametrize("dataset", ["fer2013", "oulu"])
def test_the_number_of_workers_changes_no_byte(root: Path, tmp_path: Path, dataset: str) -> None:
    draw(dataset, tmp_path / dataset, SEED, SCALE, workers=2)
    assert digests(tmp_path / dataset) == digests(root / dataset)


def test_another_seed_draws_other_pictures(root: Path, tmp_path: Path) -> None:
    draw("fer2013", tmp_path / "fer2013", 8, SCALE, workers=1)
    assert digests(tmp_path / "fer2013") != digests(root / "fer2013")


@pytest.mark.parametrize(
    ("dataset", "suffix", "shape"),
    [
        ("rafdb", ".jpg", (100, 100, 3)),
        ("ckplus", ".png", (490, 640)),
        ("jaffe", ".tiff", (256, 256)),
        ("oulu", ".jpeg", (240, 320, 3)),
        ("sfew", ".png", (576, 720, 3)),
    ],
)
def test_pictures_have_the_size_and_mode_of_the_set(
    root: Path, dataset: str, suffix: str, shape: tuple[int, ...]
) -> None:
    pictures = sorted((root / dataset).rglob(f"*{suffix}"))
    assert pictures
    for path in pictures:
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert image is not None
        assert image.shape == shape


def test_fer2013_is_a_table_of_48_by_48_grey_values(root: Path) -> None:
    header, *rows = (root / "fer2013" / "fer2013.csv").read_text().splitlines()
    assert header == "emotion,pixels,Usage"
    for row in rows:
        _, pixels, _ = row.split(",")
        values = [int(value) for value in pixels.split(" ")]
        assert len(values) == 48 * 48
        assert min(values) >= 0
        assert max(values) <= 255


@pytest.mark.parametrize("dataset", SETS)
def test_the_reader_of_the_set_takes_it_for_a_stand_in_with_every_class(root: Path, dataset: str) -> None:
    opened = open_dataset(dataset, root / dataset)
    assert opened.provenance == "stand-in"
    assert {sample.label for sample in opened.samples()} == set(range(7))


def test_the_mark_says_how_the_set_was_drawn(root: Path) -> None:
    mark = json.loads((root / "oulu" / "STAND-IN.json").read_text())
    assert mark == {"stand_in": True, "dataset": "oulu", "seed": 7, "scale": 0.05}


def test_ckplus_has_an_empty_label_folder(root: Path) -> None:
    folders = [path for path in (root / "ckplus" / "Emotion").glob("*/*") if not any(path.iterdir())]
    assert len(folders) == 1


def test_an_interrupted_run_leaves_the_old_set_alone(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw("fer2013", tmp_path / "fer2013", SEED, SCALE, workers=1)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "draw_picture", interrupt)
    with pytest.raises(KeyboardInterrupt):
        draw("fer2013", tmp_path / "fer2013", SEED, SCALE, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["fer2013"]
    assert digests(tmp_path / "fer2013") == digests(root / "fer2013")


def test_a_new_run_replaces_the_old_stand_in(root: Path, tmp_path: Path) -> None:
    for seed in (8, 7):
        draw("fer2013", tmp_path / "fer2013", seed, SCALE, workers=1)
    assert digests(tmp_path / "fer2013") == digests(root / "fer2013")


def test_files_that_are_no_stand_in_are_not_replaced(tmp_path: Path) -> None:
    real = tmp_path / "fer2013" / "fer2013.csv"
    real.parent.mkdir()
    real.write_text("emotion,pixels,Usage\n")
    with pytest.raises(DatasetError, match=r"standins\.sets"):
        draw("fer2013", tmp_path / "fer2013", SEED, SCALE, workers=1)
    assert real.read_text() == "emotion,pixels,Usage\n"


def test_a_full_disk_names_the_set_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(StorageError, match=r"jaffe: cannot be written \(No space left on device\)"):
        draw("jaffe", tmp_path / "jaffe", SEED, SCALE, workers=1)
    assert list(tmp_path.iterdir()) == []
