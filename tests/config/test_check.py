"""What pocan check says of the sets that are there."""

import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from pipeline.config.check import describe, listings, unversioned
from pipeline.config.load import load, read
from pipeline.datasets import DATASETS, open_dataset
from pipeline.datasets.parts.base import Dataset
from pipeline.errors import DatasetError
from pipeline.labels import EXPRESSIONS, STAND_IN_MARK
from pocan.cli import app
from tests.datasets.drawing import save

ROOT = Path(__file__).parents[2]
PAPER = ROOT / "params/paper.yaml"


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
        "jaffe: 2 pictures",
        "  all: 2 of 213: anger 1, happiness 1",
        "  warning: all: 211 fewer than published: pictures are missing",
    ]
    assert told[1].splitlines() == [
        "album: 3 pictures",
        "  all: 3: happiness 3",
        "  skipped, because they are not pictures: 1 .mp4",
    ]


@pytest.mark.parametrize(
    ("protocol", "missing"), [("{protocol: all}", "sadness"), ("{protocol: official}", "disgust, sadness")]
)
def test_classes_that_the_source_cannot_teach_are_named(tmp_path: Path, protocol: str, missing: str) -> None:
    album(tmp_path)
    for name in ("train/angry", "test/disgust", "train/fear", "train/happy", "train/surprise", "train/neutral"):
        save(tmp_path / "caers" / name / "1.png")
    changes = ("source=caers", "data.sets=[caers, jaffe]", f"split={{caers: {protocol}, album: {{protocol: all}}}}")
    told = listings(params(tmp_path, *changes))
    assert told[-1].startswith(f"warning: the source has no training picture of {missing}: the model cannot learn")
    save(tmp_path / "caers/train/sad/1.png")
    save(tmp_path / "caers/train/disgust/1.png")
    assert not any("cannot learn" in paragraph for paragraph in listings(params(tmp_path, *changes)))


def test_a_drawn_copy_is_not_held_against_the_published_numbers(tmp_path: Path) -> None:
    album(tmp_path)
    (tmp_path / "jaffe" / STAND_IN_MARK).write_text("{}")
    dataset = open_dataset("jaffe", tmp_path / "jaffe")
    assert describe(dataset, dataset.samples()).splitlines() == [
        "jaffe: 2 pictures, drawn stand-ins",
        "  all: 2: anger 1, happiness 1",
    ]


def whole(root: Path, per_class: dict[str, int]) -> Dataset:
    """A copy of CK+48 with some pictures of each class."""
    for name, count in per_class.items():
        (root / "CK+48" / name).mkdir(parents=True)
        for index in range(count):
            (root / "CK+48" / name / f"S010_00{len(name)}_{index:08d}.png").touch()
    return open_dataset("ckplus48", root)


CKPLUS48 = {"anger": 135, "disgust": 177, "fear": 75, "happy": 207, "sadness": 84, "surprise": 249}


@pytest.mark.parametrize(
    ("changed", "warnings"),
    [
        ({}, []),
        ({"fear": 74}, ["  warning: all: 1 fewer than published: pictures are missing"]),
        (
            {"fear": 150},
            ["  warning: all: 75 more than published: pictures were added, as in augmented copies"],
        ),
        (
            {"fear": 76, "anger": 134},
            [
                "  warning: all: the published number of pictures, but other class counts: labels were changed or mean "
                "something else"
            ],
        ),
    ],
)
def test_a_copy_is_whole_or_it_is_said_what_differs(
    tmp_path: Path, changed: dict[str, int], warnings: list[str]
) -> None:
    dataset = whole(tmp_path, CKPLUS48 | changed)
    lines = describe(dataset, dataset.samples()).splitlines()
    assert f"anger {changed.get('anger', 135)} of 135" in lines[1]
    assert lines[2:] == warnings


def test_a_missing_part_is_counted_and_the_reading_is_said(tmp_path: Path) -> None:
    save(tmp_path / "Train/Train/Happy/film.png")
    (tmp_path / "Train/Train_Aligned_Faces").mkdir()
    save(tmp_path / "Val/Val/Happy/film.png")
    dataset = open_dataset("sfew", tmp_path)
    assert describe(dataset, dataset.samples()).splitlines() == [
        "sfew: 2 pictures",
        "  train: 1 of 958: happiness 1",
        "  warning: train: 957 fewer than published: pictures are missing",
        "  val: 1 of 436: happiness 1",
        "  warning: val: 435 fewer than published: pictures are missing",
        "  read: stills, as Train/Train_Aligned_Faces holds no pictures in class folders",
    ]


def test_every_published_number_by_class_is_of_seven_classes() -> None:
    for reader in DATASETS.values():
        for part, numbers in reader.published.items():
            assert part in ("train", "val", "test", "all")
            assert isinstance(numbers, int) or len(numbers) == len(EXPRESSIONS)


def test_missing_folders_and_wrong_layouts_are_named_together(tmp_path: Path) -> None:
    album(tmp_path)
    (tmp_path / "rafdb").mkdir()
    split = ", ".join(f"{name}: {{protocol: all}}" for name in ("jaffe", "album", "rafdb", "sfew"))
    chosen = ("data.sets=[jaffe,rafdb,sfew]", f"split={{{split}}}")
    with pytest.raises(DatasetError) as raised:
        listings(params(tmp_path, *chosen))
    assert "sfew: no such folder" in str(raised.value)
    assert "or a table of labels not found, nor in a folder below; unpack RAF-DB there" in str(raised.value)


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


def test_the_command_that_brings_sets_under_dvc_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)
    album(tmp_path / "my data")
    values = read(ROOT / "params.yaml") | {"source": "jaffe", "targets": ["album"]}
    values["data"] |= {"root": "my data", "sets": ["jaffe"], "folder_sets": ["album"]}
    values["split"]["album"] = {"protocol": "all"}
    Path("params.yaml").write_text(yaml.safe_dump(values))
    answer = CliRunner().invoke(app, ["check"])
    assert "dvc add 'my data/jaffe' 'my data/album', or give" in answer.output, answer.output


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)
    (tmp_path / "data/real").mkdir(parents=True)
    return tmp_path


def test_each_way_of_being_known(repository: Path) -> None:
    params = load(PAPER, ["data.sets=[rafdb, ckplus, jaffe, oulu, fer2013, sfew]"])
    weights = "data/weights/resnet50_ft_weight.pkl"
    names = ("rafdb", "ckplus", "jaffe", "oulu", "fer2013", "sfew")
    assert unversioned(params) == [*(f"data/real/{name}" for name in names), weights]
    Path("data/real/rafdb.dvc").touch()
    Path("data/real/ckplus").mkdir()
    Path("data/real/ckplus/a.png").touch()
    subprocess.run(["git", "add", "data/real/ckplus"], check=True)
    assert unversioned(params) == [*(f"data/real/{name}" for name in names[2:]), weights]
    Path("data/real.dvc").touch()
    assert unversioned(params) == [weights]
    assert unversioned(load(PAPER, [f"data.root={repository}"])) == [weights]


@pytest.mark.usefixtures("repository")
def test_drawn_sets_are_drawn_in_copies_too() -> None:
    assert unversioned(load(ROOT / "params.yaml")) == []


def test_outside_of_git_there_are_no_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert unversioned(load(PAPER)) == []
