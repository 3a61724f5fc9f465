"""``pocan predict``: what goes in, what comes out, and what is said when it cannot."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import pocan
from pipeline.datasets.parts import videos
from pipeline.datasets.parts.videos import VideoWriter
from pipeline.errors import DatasetError
from pipeline.labels import EXPRESSIONS
from pipeline.prediction.inputs import list_inputs
from pipeline.prediction.predictor import Predictor
from pocan.cli import app
from tests.faces.scenes import noise, photograph, two_faces
from tests.models import ADAPTED, SOURCE, write_adapted, write_source
from tests.prediction.videos import write_video

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an album of pictures and the two kinds of model, as the working directory."""
    (tmp_path / "album/sub").mkdir(parents=True)
    Image.fromarray(two_faces()).save(tmp_path / "album/two.png")
    Image.fromarray(photograph()).save(tmp_path / "album/sub/one.png")
    (tmp_path / "album/broken.jpg").write_bytes(b"no picture")
    (tmp_path / "album/notes.txt").write_text("no picture either")
    write_source(tmp_path / "models")
    write_adapted(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["predict", *arguments], input=stdin)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def refused(*arguments: str, message: str) -> None:
    before = sorted(Path().rglob("*"))
    answer = invoke(*arguments)
    assert answer.exit_code == 1, answer.output
    lines = [line for line in answer.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert sorted(Path().rglob("*")) == before  # nothing half-written


def test_a_folder_becomes_a_row_a_face(here: Path) -> None:
    answer = invoke("album", "--out", "faces.csv")
    assert answer.exit_code == 0, answer.output
    found = rows(here / "faces.csv")
    assert [(row["source"], row["frame"], row["face"]) for row in found] == [
        ("album/two.png", "", "1"),
        ("album/two.png", "", "2"),
        ("album/sub/one.png", "", "1"),
    ]
    for row in found:
        shares = [float(row[f"p_{name}"]) for name in EXPRESSIONS]
        assert sum(shares) == pytest.approx(1.0, abs=5e-4)
        assert row["expression"] == EXPRESSIONS[int(np.argmax(shares))]
        assert float(row["confidence"]) == max(shares)
        assert 0.8 < float(row["score"]) <= 1.0
        assert float(row["x1"]) < float(row["x2"])
    assert answer.stdout == "faces.csv\n"
    assert "skipped: album/broken.jpg: not a picture in a known format" in answer.stderr
    assert "3 faces in 2 pictures" in answer.stderr


@pytest.mark.usefixtures("here")
def test_a_video_that_cannot_be_opened_does_not_stop_the_others() -> None:
    Path("mixed").mkdir()
    Path("mixed/film.mp4").write_bytes(b"no film" * 100)
    shutil.copy("album/two.png", "mixed/two.png")
    answer = invoke("mixed", "--out", "faces.csv")
    assert answer.exit_code == 0, answer.output
    assert {row["source"] for row in rows(Path("faces.csv"))} == {"mixed/two.png"}
    assert "skipped: mixed/film.mp4: not a video that can be read" in answer.stderr


@pytest.mark.usefixtures("here")
def test_json_lines_say_the_same() -> None:
    assert invoke("album/two.png", "--out", "faces.jsonl").exit_code == 0
    assert invoke("album/two.png", "--out", "faces.csv").exit_code == 0
    values = [json.loads(line) for line in Path("faces.jsonl").read_text().splitlines()]
    for value, row in zip(values, rows(Path("faces.csv")), strict=True):
        assert value["box"] == [float(row[edge]) for edge in ("x1", "y1", "x2", "y2")]
        assert {name: f"{share:.4f}" for name, share in value["probabilities"].items()} == {
            name: row[f"p_{name}"] for name in EXPRESSIONS
        }
        assert (value["frame"], value["expression"]) == (None, row["expression"])


@pytest.mark.usefixtures("here")
def test_without_a_file_people_get_a_table_and_paths_may_come_by_the_standard_input() -> None:
    answer = invoke("-", "--model", "mine", stdin="album/two.png\n\nalbum/sub/one.png\n")
    assert answer.exit_code == 0, answer.output
    lines = answer.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["source", "album/two.png", "album/two.png", "album/sub/one.png"]
    assert {len(line) for line in lines} == {80}
    assert [line.split()[1] for line in lines[1:]] == ["1", "2", "1"]  # the numbers that drawings have, too
    wide = invoke("album/sub/one.png", "--model", "mine", "--format", "wide").stdout.splitlines()
    assert wide[0].split()[:5] == ["source", "frame", "face", "box", "score"]
    assert wide[0].split()[5:] == list(EXPRESSIONS)
    assert invoke("album/sub/one.png", "--format", "csv").stdout.count("\n") == 2


@pytest.mark.usefixtures("here")
def test_the_table_says_the_two_best_expressions_and_which_frame() -> None:
    write_video(Path("a-film-with-a-name-that-is-longer-than-its-column.mp4"), 2)
    film = invoke("a-film-with-a-name-that-is-longer-than-its-column.mp4", "-S", "min_face=40").stdout.splitlines()
    assert [len(line) for line in film] == [80] * 3
    assert film[2].startswith("…")
    assert ".mp4, frame 1 " in film[2]
    (row,) = (line for line in invoke("album/sub/one.png", "--format", "csv").stdout.splitlines()[1:])
    shares = dict(zip(EXPRESSIONS, map(float, row.split(",")[10:17]), strict=True))
    best, second = sorted(EXPRESSIONS, key=lambda name: -shares[name])[:2]
    line = invoke("album/sub/one.png").stdout.splitlines()[1].replace(" ◊", "").split()
    assert line == ["album/sub/one.png", "1", best, f"{100 * shares[best]:.0f}", second, f"{100 * shares[second]:.0f}"]


@pytest.mark.usefixtures("here")
def test_drawings_of_pictures_and_videos() -> None:
    write_video(Path("film.mp4"), 7, second=range(7))
    answer = invoke("album", "album/two.png", "film.mp4", "--every", "3", "--draw", "shown", "--out", "rows.csv")
    assert answer.exit_code == 0, answer.output
    names = sorted(path.relative_to("shown").as_posix() for path in Path("shown").rglob("*.*"))
    assert names == ["album/sub/one.jpg", "album/two.jpg", "film.mp4", "two.jpg"]
    drawn = np.asarray(Image.open("shown/album/two.jpg"))
    assert drawn.shape == two_faces().shape
    assert (np.abs(drawn.astype(int) - two_faces()).max(axis=2) > 100).mean() > 0.01
    film = videos.probe(Path("shown/film.mp4"))
    assert film.frames == 3
    assert film.rate == pytest.approx(25 / 3, abs=0.01)


@pytest.mark.usefixtures("here")
def test_faces_of_a_video_keep_their_numbers() -> None:
    write_video(Path("film.mp4"), 12, second=[*range(2, 5), *range(8, 12)])
    assert invoke("film.mp4", "--out", "rows.csv", "--every", "2", "-S", "min_face=40").exit_code == 0
    found = [(int(row["frame"]), int(row["face"])) for row in rows(Path("rows.csv"))]
    large = [(frame, 1) for frame in range(0, 12, 2)]
    assert sorted(found) == sorted([*large, *((frame, 2) for frame in (2, 4, 8, 10))])


@pytest.mark.usefixtures("here")
def test_a_video_is_read_as_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames in memory do not grow with the video: no more are decoded than are used, but for those read ahead."""
    write_video(Path("film.mp4"), 40)
    ahead, seen, most = 0, 0, 0
    convert = cv2.cvtColor

    def counted(image: np.ndarray, code: int) -> np.ndarray:
        nonlocal ahead, most
        if code == cv2.COLOR_BGR2RGB:
            ahead += 1
            most = max(most, ahead - seen)
        return convert(image, code)

    def predict(_self: Predictor, images: list[np.ndarray]) -> list[list[object]]:
        nonlocal seen
        seen += len(images)
        return [[] for _ in images]

    monkeypatch.setattr(cv2, "cvtColor", counted)
    monkeypatch.setattr(Predictor, "predict", predict)
    answer = invoke("film.mp4", "-S", "batch_size=2")
    assert "no face found in 40 frames" in answer.stderr
    assert most <= 2 * (2 + 2)  # batches of two: the one looked at, two ahead, one being made


@pytest.mark.usefixtures("here")
def test_a_camera_is_watched_until_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Camera:
        left = 3

        def isOpened(self) -> bool:  # noqa: N802
            return True

        def release(self) -> None:
            pass

        def grab(self) -> bool:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return True

        def retrieve(self) -> tuple[bool, np.ndarray]:
            return True, photograph()[..., ::-1].copy()

    capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda of: Camera() if of == 0 else capture(of))
    answer = invoke("0", "--out", "rows.csv", "--draw", "shown")
    assert answer.exit_code == 0, answer.output
    assert [(row["source"], row["frame"], row["face"]) for row in rows(Path("rows.csv"))] == [
        ("camera 0", str(frame), "1") for frame in range(3)
    ]
    assert Path("shown/camera-0.mp4").stat().st_size > 0


@pytest.mark.usefixtures("here")
def test_bad_inputs_are_one_line() -> None:
    Path("film.mp4").write_bytes(b"no film" * 100)
    Path("empty").mkdir()
    Image.fromarray(noise(80, 80)).save("noise.png")
    refused("nowhere.jpg", message="nowhere.jpg: no such file or folder")
    refused("album", "-S", "scale_factor=0.999999", message="faces.scale_factor: input should be less than or equal to")
    refused("film.mp4", "--draw", "shown", message="nothing could be read: skipped: film.mp4: not a video that can be")
    refused("empty", message="empty: neither pictures nor videos")
    refused("album/broken.jpg", "--out", "rows.csv", message="nothing could be read: skipped: album/broken.jpg")
    refused("noise.png", "--out", "rows.csv", "--draw", "shown", message="no face found in 1 picture;")
    refused("album", "--model", "nowhere", message="nowhere/model.json: no such file")
    refused("album", "--model", "models/pretrained", message="cannot predict; use models/prototypes")
    refused("album", "--format", "xml", message="unknown format 'xml'")
    refused("99", message="camera 99: cannot be opened")
    refused("album", "--model", "models:/pocan-x@newest", message="run from the project's root")


@pytest.mark.usefixtures("here")
def test_outputs_that_are_there_are_kept() -> None:
    Path("rows.csv").write_text("mine")
    Path("shown").mkdir()
    refused("album", "--out", "rows.csv", message="rows.csv: exists already; remove it or name another one with --out")
    refused("album", "--draw", "shown", message="shown: exists already; remove it or name another one with --draw")
    for out, draw in (("new", "new"), ("new/rows.csv", "new"), ("new", "new/drawn")):
        refused("album", "--out", out, "--draw", draw, message="--out and --draw lie in one another; name two places")
    assert Path("rows.csv").read_text() == "mine"
    Path("link.csv").symlink_to("nowhere/link.csv")
    refused("album", "--out", "link.csv", message="link.csv: exists already; remove it or name another one with --out")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("draw", ["album/shown", "album/sub/shown", "album/../album/shown", "link/shown"])
def test_no_later_run_takes_drawings_for_pictures(draw: str) -> None:
    Path("link").symlink_to("album")
    message = f"{draw}: is inside album, whose pictures are read; name a folder beside it with --draw"
    refused("film.mp4", "album", "--draw", draw, message=message)
    assert not Path(draw).exists()


@pytest.mark.usefixtures("here")
def test_a_link_that_leads_nowhere_does_not_stop_the_others_of_its_folder() -> None:
    for name in ("gone.jpg", "gone.mp4"):
        Path("album", name).symlink_to("nowhere")
    answer = invoke("album", "--model", "mine", "--format", "csv")
    assert answer.exit_code == 0, answer.output
    for name in ("gone.jpg", "gone.mp4"):
        assert f"skipped: album/{name}: a link that leads nowhere, or a file that vanished" in answer.stderr
    refused("album/gone.jpg", "--model", "mine", message="album/gone.jpg: no such file or folder")


@pytest.mark.usefixtures("here")
def test_a_list_of_paths_is_read_whatever_wrote_it() -> None:
    answer = invoke("-", "--model", "mine", "--format", "csv", stdin="\ufeffalbum/two.png\r\n\r\n")
    assert answer.exit_code == 0, answer.output
    assert "\nalbum/two.png," in answer.stdout
    for encoded in ("album/two.png\n".encode("utf-16"), b"album/two.png\0album/sub/one.png\0"):
        answer = CliRunner().invoke(app, ["predict", "-", "--model", "mine"], input=encoded)
        assert answer.exit_code == 1
        assert "error: the standard input, line 1: zero bytes, as in UTF-16 or from find -print0" in answer.stderr


@pytest.mark.usefixtures("here")
def test_a_place_that_cannot_be_written() -> None:
    refused("album", "--out", "album/notes.txt/rows.csv", message="album/notes.txt/rows.csv: cannot be written")
    refused("album/two.png", "--draw", "album/notes.txt/shown", message="album/notes.txt/shown: cannot be written")


@pytest.mark.usefixtures("here")
def test_a_disk_that_fills_up_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    refused("album", "--out", "rows.csv", "--draw", "shown", message="cannot be written (No space left on device)")


def test_any_name_of_a_picture_or_film_is_read_and_written(here: Path) -> None:
    odd, long = os.fsdecode(b"caf\xe9"), "c" * 251
    for name in (f"{odd}.png", f"{long}.png", f"{long}.gif", f"{'d' * 255}"):
        Image.fromarray(photograph()).save(here / "album/sub" / name, "PNG")
    write_video(here / "19:30.mp4", 2).rename(here / "album" / f"{odd}.mp4")
    write_video(here / "19:30.mp4", 2)
    where = [os.fsdecode(b"rows\xe9.csv"), os.fsdecode(b"shown\xe9")]
    answer = invoke("album", "19:30.mp4", "--out", where[0], "--draw", where[1])
    assert answer.exit_code == 0, answer.output
    names = [row["source"] for row in rows(Path(where[0]))]
    assert names.count("19:30.mp4") == names.count(r"album/caf\xe9.mp4") == 2
    assert {r"album/sub/caf\xe9.png", f"album/sub/{long}.png", f"album/sub/{'d' * 255}"} <= set(names)
    drawn = sorted(path.name for path in Path(where[1]).rglob("*.*"))
    assert len(drawn) == 8
    assert {f"{odd}.jpg", f"{long}.jpg", f"{'c' * 249}-2.jpg", "d" * 251 + ".jpg", f"{odd}.mp4", "19:30.mp4"} <= set(
        drawn
    )


@pytest.mark.usefixtures("here")
def test_names_on_the_standard_input_are_any_bytes() -> None:
    for name in (b"caf\xe9.png", "größer.png".encode()):
        Image.fromarray(photograph()).save(Path(os.fsdecode(name)), "PNG")
    answer = CliRunner().invoke(
        app, ["predict", "-", "--format", "csv"], input=b"caf\xe9.png\r\ngr\xc3\xb6\xc3\x9fer.png\n"
    )
    assert answer.exit_code == 0, answer.output
    assert [line.split(",")[0] for line in answer.stdout.splitlines()] == ["source", r"caf\xe9.png", "größer.png"]


@pytest.mark.slow
def test_a_terminal_that_lacks_a_sign_shows_another(here: Path) -> None:
    name = "a" * 60 + "ł.png"
    Image.fromarray(photograph()).save(here / name)
    program = [sys.executable, "-c", "from pocan.cli import app; app()", "predict", name]
    environment = os.environ | {"PYTHONIOENCODING": "latin-1", "PYTHONPATH": str(ROOT)}
    answer = subprocess.run(program, cwd=here, env=environment, capture_output=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "aaa\\u0142.png" in answer.stdout.decode("latin-1")


@pytest.mark.usefixtures("here")
def test_what_could_be_read_of_half_a_film_is_told() -> None:
    picture = photograph()[..., ::-1].copy()
    writer = cv2.VideoWriter("whole.avi", cv2.VideoWriter.fourcc(*"MJPG"), 25.0, picture.shape[1::-1])
    for _ in range(10):
        writer.write(picture)
    writer.release()
    content = Path("whole.avi").read_bytes()
    Path("half.avi").write_bytes(content[: len(content) // 2])
    answer = invoke("half.avi", "--out", "rows.csv")
    assert answer.exit_code == 0, answer.output
    read = len(rows(Path("rows.csv")))
    assert 3 <= read <= 6
    assert f"half.avi: only {read} of 10 frames could be read\n" in answer.stderr
    assert f"{read} faces in {read} frames\n" in answer.stderr


@pytest.mark.usefixtures("here")
def test_a_mistyped_name_of_digits_is_no_camera() -> None:
    for name in ("20240512", "20240512093000", "100", "٣٤٥"):
        refused(name, message=f"{name}: no such file, folder or camera")
    with pytest.raises(DatasetError, match="an empty name: give names of files or folders"):
        list_inputs([""])


@pytest.mark.usefixtures("here")
def test_what_has_no_face_is_named() -> None:
    Image.fromarray(noise(80, 80)).save("album/cat.png")
    write_video(Path("film.mp4"), 3)
    still = VideoWriter(Path("still.mp4"), 25.0, 64, 64)
    for _ in range(4):
        still.write(noise(64, 64))
    still.close()
    answer = invoke("album", "film.mp4", "still.mp4", "--out", "rows.csv")
    assert answer.exit_code == 0, answer.output
    assert answer.stderr.count("no face") == 2
    assert "album/cat.png: no face\n" in answer.stderr
    assert "still.mp4: no face in 4 of 4 frames\n" in answer.stderr
    assert "6 faces in 3 pictures and 7 frames\n" in answer.stderr


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("provenance", ["stand-in", "real"])
def test_a_model_that_learned_from_drawings_says_so(provenance: str) -> None:
    origin = {**SOURCE, "provenance": provenance}
    write_adapted(Path("model"), source=origin, target={**ADAPTED["target"], "provenance": "real"})
    mark = " ◊" if provenance == "stand-in" else ""
    answer = invoke("album/sub/one.png", "--model", "model", "--out", "rows.csv", "--draw", "shown")
    assert answer.exit_code == 0, answer.output
    assert [row["model"] for row in rows(Path("rows.csv"))] == [f"model{mark}"]
    assert ("model was trained on drawn faces" in answer.stderr) == bool(mark)
    assert invoke("album/sub/one.png", "--model", "model", "--out", "rows.jsonl").exit_code == 0
    assert json.loads(Path("rows.jsonl").read_text())["model"] == f"model{mark}"
    shown = invoke("album/sub/one.png", "--model", "model")
    assert ("◊" in shown.stdout) == bool(mark)
    assert pocan.load_model("model").drawn == bool(mark)
