"""What pocan check says of the sets that are there."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.config.listings import described, listings
from pipeline.config.load import load
from pipeline.datasets import open_dataset
from pipeline.datasets.parts.base import STAND_IN_MARK
from pipeline.errors import DatasetError
from tests.datasets.drawing import save

ROOT = Path(__file__).parents[2]


def album(root: Path, count: int = 3) -> None:
    for index in range(count):
        save(root / "album/happy" / f"{index}.png")
    save(root / "jaffe/jaffe/KA.AN1.39.tiff")
    save(root / "jaffe/jaffe/KA.HA1.29.tiff")


def params(root: Path, *changes: str):  # type: ignore[no-untyped-def]
    chosen = ("source=jaffe", "targets=[album]", "data.sets=[jaffe]", "data.folder_sets=[album]", "standins.sets=[]")
    return load(
        ROOT / "params.yaml",
        [f"data.root={root}", *chosen, "split={jaffe: {protocol: all}, album: {protocol: all}}", *changes],
    )


def test_counts_by_part_and_class_beside_the_published_ones(tmp_path: Path) -> None:
    album(tmp_path)
    (tmp_path / "album/clip.mp4").touch()
    told = listings(params(tmp_path))
    assert told[0].splitlines() == [
        "jaffe: 2 all; 1 anger, 1 happiness",
        "  warning: 2 pictures of all, published are 213: pictures are missing or were added",
    ]
    assert told[1].splitlines() == [
        "album: 3 all; 3 happiness",
        "  passed over, as they are no pictures: 1 .mp4",
    ]


def test_a_drawn_copy_is_not_held_against_the_published_numbers(tmp_path: Path) -> None:
    album(tmp_path)
    (tmp_path / "jaffe" / STAND_IN_MARK).write_text("{}")
    dataset = open_dataset("jaffe", tmp_path / "jaffe")
    assert described(dataset, dataset.samples()) == "jaffe: 2 all; 1 anger, 1 happiness"


def test_all_faults_of_all_sets_are_named_at_once(tmp_path: Path) -> None:
    album(tmp_path, 1)
    (tmp_path / "jaffe/jaffe/KA.AN1.39.tiff").rename(tmp_path / "jaffe/jaffe/me.tiff")
    with pytest.raises(DatasetError) as raised:
        listings(params(tmp_path))
    assert "me.tiff: the name is not of the form" in str(raised.value)
    assert "album: a target needs at least 2 pictures to adapt to and has 1: add pictures" in str(raised.value)


def test_the_command_lists_and_says_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    answer = CliRunner().invoke(app, ["check"])
    assert answer.exit_code == 0, answer.output
    assert answer.output.splitlines()[-1] == "ok"
