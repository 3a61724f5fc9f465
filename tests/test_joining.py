"""``--shard`` and ``pocan join``: the bytes of one run, and nothing half done."""

import json
import shutil
from pathlib import Path
from typing import NoReturn

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from pipeline.faces import joining, packing
from pocan.cli import app
from tests.faces.scenes import noise, photograph, two_faces
from tests.models import write_source
from tests.prediction.videos import write_video

ROOT = Path(__file__).parents[1]
COUNT = 3


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model and an album, as the working directory."""
    pictures = {"a/1.png": photograph(), "a/2.png": noise(40, 40), "b.png": two_faces(), "c.png": photograph()[:, ::-1]}
    for name, picture in pictures.items():
        path = tmp_path / "album" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    (tmp_path / "album/broken.jpg").write_bytes(b"no picture")
    (tmp_path / "album/notes.txt").write_text("no picture either")
    write_source(tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.prediction.inputs.BLOCK", 2)
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def succeed(*arguments: str) -> Result:
    answer = invoke(*arguments)
    assert answer.exit_code == 0, answer.output
    return answer


def refused(*arguments: str, message: str) -> None:
    """The command fails with one line, and writes nothing."""
    before = sorted(Path().rglob("*"))
    answer = invoke(*arguments)
    assert answer.exit_code == 1, answer.output
    (line,) = (line for line in answer.stderr.splitlines() if line.startswith("error: "))
    assert message in line
    assert sorted(Path().rglob("*")) == before


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def faces(*arguments: str) -> tuple[str, ...]:
    """The command, with batches of one picture, so that three parts share five."""
    return ("faces", "album", "--params", str(ROOT / "params.yaml"), "-S", "batch_size=1", *arguments)


def killed(*_: object) -> NoReturn:
    raise RuntimeError("killed")


@pytest.mark.parametrize("count", [2, 7])
def test_faces_of_parts_are_those_of_one_run(count: int, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With seven parts some are empty, one has the unreadable picture alone; tables have several row groups."""
    monkeypatch.setattr(packing, "ROWS_A_GROUP", 3)
    monkeypatch.setattr(joining, "AT_ONCE", 2)
    succeed(*faces("--out", "once"))
    parts = [f"parts/{number}" for number in range(1, count + 1)]
    for number, part in enumerate(parts, start=1):
        answer = succeed(*faces("--out", part, "--shard", f"{number}/{count}"))
        assert answer.stdout.splitlines()[-1] == f"{part}/crops"
        assert f"shard {number}/{count}: " in answer.stderr
    answer = succeed("join", *reversed(parts), "--out", "joined")
    assert f"4 crops, 1 unreadable, of {count} shards" in answer.stderr
    assert content(here / "joined") == content(here / "once")


def test_an_interrupted_part_goes_on(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = faces("--out", "part", "--shard", "1/2")
    finish = "pipeline.faces.writer.CropWriter.finish"
    with monkeypatch.context() as patch:
        patch.setattr(finish, killed)
        assert invoke(*command).exit_code != 0
    monkeypatch.setattr("pipeline.faces.batches.FaceBatches.__getitem__", killed)  # nothing is computed again
    succeed(*command)
    assert (here / "part/crops/shard.json").exists()
    refused(*command, message="there are crops already")
    # What is a part is not taken for the whole whose report was interrupted.
    refused(*faces("--out", "part"), message="there are crops already")


def test_faces_are_joined_again_after_an_interruption(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = ["1", "2"]
    for part in parts:
        succeed(*faces("--out", part, "--shard", f"{part}/2"))
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.reporting.folder_faces.write_faces_report", killed)
        assert invoke("join", *parts, "--out", "joined").exit_code != 0
    assert sorted(path.name for path in here.iterdir()) == ["1", "2", "album", "models"]
    succeed("join", *parts, "--out", "joined")
    assert (here / "joined/faces.md").exists()
    refused("join", *parts, "--out", "joined", message="joined: exists already")
    # Neither a part nor crops whose report was interrupted are taken for what a joining has left.
    refused("join", *parts, "--out", "1", message="1: exists already")
    (here / "joined/faces.md").unlink()
    refused("join", *parts, "--out", "joined", message="joined: exists already")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "wide"])
def test_rows_of_parts_are_those_of_one_run(kind: str, here: Path) -> None:
    write_video(here / "album/film.mp4", 3)
    common = ("predict", "album", "album/c.png", "--format", kind)
    once = succeed(*common, "--out", "once")
    parts = [f"parts/{number}" for number in range(1, COUNT + 1)]
    for number, part in enumerate(parts, start=1):
        succeed(*common, "--out", part, "--shard", f"{number}/{COUNT}")
    answer = succeed("join", *parts, "--out", "joined")
    assert (here / "joined").read_bytes() == (here / "once").read_bytes()
    assert answer.stderr.splitlines()[-1] == once.stderr.splitlines()[-1]  # "… faces in 5 pictures and 3 frames"
    refused("join", *parts, "--out", "joined", message="joined: exists already")
    refused("join", *parts[1:], "--out", "other", message="shards are missing: 1/3")


def test_parts_without_a_face_are_no_error_but_all_of_them_are(here: Path) -> None:
    Image.fromarray(noise(64, 64)).save(here / "none.png")
    for number in (1, 2):  # the second is empty
        succeed("predict", "none.png", "--out", str(number), "--shard", f"{number}/2")
    refused("join", "1", "2", "--out", "joined.csv", message="no face found in 1 picture")


@pytest.mark.usefixtures("here")
def test_parts_of_other_pictures_or_models_are_refused() -> None:
    succeed("predict", "album", "--out", "1", "--shard", "1/2")
    succeed("predict", "album", "--out", "2", "--shard", "2/2", "-S", "min_face=40")
    refused("join", "1", "2", "--out", "joined", message="different runs: faces.min_face: 32 and 40")
    shutil.rmtree("2")
    shutil.copy("album/b.png", "album/d.png")
    succeed("predict", "album", "--out", "2", "--shard", "2/2")
    refused("join", "1", "2", "--out", "joined", message="different runs: digest of the inputs' names")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("section", "key", "value", "told"),
    [
        ("augment", "eval_crop", 0.5, "augment.eval_crop of the model"),
        ("source", "provenance", "real", "learned from drawings"),
    ],
)
def test_parts_by_models_with_the_same_weights_and_other_descriptions_are_refused(
    section: str, key: str, value: object, told: str
) -> None:
    succeed("predict", "album", "--out", "1", "--shard", "1/2")
    path = Path("models/prototypes/model.json")
    description = json.loads(path.read_text())
    assert description[section][key] != value
    description[section][key] = value
    path.write_text(json.dumps(description))
    succeed("predict", "album", "--out", "2", "--shard", "2/2")
    refused("join", "1", "2", "--out", "joined", message=f"different runs: {told}:")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("shard", ["3/2", "0/0", "x"])
def test_a_bad_value_is_one_line(shard: str) -> None:
    told = f"--shard: '{shard}' is not a shard"
    refused("predict", "album", "--out", "part", "--shard", shard, message=told)
    refused(*faces("--out", "part", "--shard", shard), message=told)


@pytest.mark.usefixtures("here")
def test_what_cannot_be_divided_is_refused() -> None:
    refused("predict", "album", "--shard", "1/2", message="--shard: needs --out")
    refused("predict", "album", "--shard", "1/2", "--out", "a", "--draw", "b", message="makes no drawings")
    refused("predict", "0", "--shard", "1/2", "--out", "a", message="a camera cannot be divided")
    refused("join", "album", "--out", "joined", message="album: not a finished shard")
