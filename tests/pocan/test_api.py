"""``import pocan``: faces of pictures of every kind, what is refused, and what importing costs."""

import inspect
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import pocan
from pipeline.faces.crop import region
from pocan.cli import adapt as adapt_command
from pocan.cli import app
from tests.faces.scenes import noise, photograph, two_faces
from tests.models import write_adapted
from tests.prediction.videos import write_video

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> pocan.Model:
    folder = tmp_path_factory.mktemp("models") / "model"
    write_adapted(folder)
    return pocan.load_model(folder, device="cpu")


def same(first: pocan.Face, second: pocan.Face) -> None:
    assert first.box == pytest.approx(second.box, abs=0.01)
    assert first.score == pytest.approx(second.score, abs=1e-4)
    assert dict(first.probabilities) == pytest.approx(dict(second.probabilities), abs=1e-4)


def same_all(first: list[pocan.Face] | None, second: list[pocan.Face]) -> None:
    assert first is not None
    for one, other in zip(first, second, strict=True):
        same(one, other)


def test_a_face_has_a_box_a_score_and_a_probability_for_each_expression(model: pocan.Model) -> None:
    first, second = model.predict(two_faces())
    assert first.score >= second.score > 0.8
    assert tuple(first.probabilities) == pocan.EXPRESSIONS
    assert sum(first.probabilities.values()) == pytest.approx(1.0, abs=1e-5)
    assert first.confidence == first.probabilities[first.expression] == max(first.probabilities.values())
    left, top, right, bottom = first.box
    assert 0 <= left < right <= two_faces().shape[1]
    assert 0 <= top < bottom <= two_faces().shape[0]
    assert model.predict(noise(64, 64)) == []


def test_a_picture_is_the_same_from_a_file_an_array_and_pillow(model: pocan.Model, tmp_path: Path) -> None:
    image = Image.fromarray(photograph())
    image.save(tmp_path / "one.png")
    (expected,) = model.predict(photograph())
    content = (tmp_path / "one.png").read_bytes()
    for picture in (tmp_path / "one.png", str(tmp_path / "one.png"), content, image, image.convert("RGBA")):
        (found,) = model.predict(picture)
        same(found, expected)
    flipped = np.ascontiguousarray(photograph()[..., ::-1])
    (found,) = model.predict(flipped[..., ::-1])  # a view, as made of a picture that OpenCV has read
    same(found, expected)


def test_of_a_list_each_picture_has_its_faces(model: pocan.Model) -> None:
    found = model.predict([two_faces(), Image.fromarray(noise(64, 64)), photograph()])
    assert [len(faces or ()) for faces in found] == [2, 0, 1]
    assert found[1] == []
    same_all(found[2], model.predict(photograph()))
    assert model.predict([]) == []
    (alone,) = model.predict((photograph(),))
    same_all(alone, model.predict(photograph()))


def test_of_a_list_what_cannot_be_read_is_told_and_the_others_keep_their_places(
    model: pocan.Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    pictures: list[pocan.api.Picture] = ["nowhere.jpg", *[photograph()] * 70, tmp_path / "broken.jpg", two_faces(), b""]
    found = model.predict(pictures)
    assert [place for place, faces in enumerate(found) if faces is None] == [0, 71, 73]
    same_all(found[70], model.predict(photograph()))
    same_all(found[72], model.predict(two_faces()))
    first, second, third = capsys.readouterr().err.splitlines()
    assert first == "skipped: nowhere.jpg: no such file"
    assert second.startswith(f"skipped: {tmp_path}/broken.jpg: not a picture")
    assert third == "skipped: picture 74: the file is empty"


def test_several_threads_get_the_same_faces_as_one(model: pocan.Model) -> None:
    pictures = [photograph(), two_faces()] * 8
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(model.predict, pictures))
    assert found == [model.predict(photograph()), model.predict(two_faces())] * 8


def test_a_folder_becomes_a_table(model: pocan.Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "album").mkdir()
    Image.fromarray(two_faces()).save(tmp_path / "album/two.png")
    Image.fromarray(noise(64, 64)).save(tmp_path / "album/none.png")
    (tmp_path / "album/broken.jpg").write_bytes(b"no picture")
    write_video(tmp_path / "film.mp4", 4)
    table = model.table([tmp_path / "album", str(tmp_path / "film.mp4")], every=2)
    assert f"skipped: {tmp_path}/album/broken.jpg" in capsys.readouterr().err
    pictures, film = table[table["frame"].isna()], table[table["frame"].notna()]
    assert pictures["source"].tolist() == [f"{tmp_path}/album/two.png"] * 2
    assert pictures["face"].tolist() == [1, 2]
    assert film["frame"].tolist() == [0, 2]
    for row, face in zip(pictures.to_dict("records"), model.predict(two_faces()), strict=True):
        assert [row[edge] for edge in ("x1", "y1", "x2", "y2")] == pytest.approx(face.box, abs=0.01)
        assert [row[f"p_{name}"] for name in pocan.EXPRESSIONS] == pytest.approx(
            [*face.probabilities.values()], abs=1e-4
        )
        assert (row["expression"], row["confidence"]) == (face.expression, pytest.approx(face.confidence, abs=1e-4))
    none = model.table(tmp_path / "album/none.png")
    assert (len(none), none.dtypes.tolist()) == (0, table.dtypes.tolist())
    with pytest.raises(pocan.PipelineError, match="nothing could be read"):
        model.table(tmp_path / "album/broken.jpg")
    with pytest.raises(pocan.PipelineError, match="nothing to predict: no path is given"):
        model.table([])
    with pytest.raises(ValueError, match="every=0: must be at least 1"):
        model.table(tmp_path, every=0)


@pytest.mark.parametrize(("name", "what"), [("0", "a camera"), ("-", "the standard input")])
def test_a_table_is_of_files_not_of_a_camera_or_the_standard_input(
    model: pocan.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pocan.PipelineError, match=f"^{name}: {what} cannot be used here; .* to model.predict$"):
        model.table(["film.mp4", name])
    Path("0").mkdir()
    Image.fromarray(noise(64, 64)).save("0/none.png")
    assert len(model.table("0")) == 0


def test_what_is_drawn_are_the_faces_that_are_given(model: pocan.Model) -> None:
    faces = model.predict(two_faces())
    first, both, again = (np.asarray(model.draw(two_faces(), these)) for these in (faces[:1], faces, None))
    np.testing.assert_array_equal(both, again)
    left, top, right, _ = map(int, faces[1].box)
    inside = np.s_[top : top + 3, (left + right) // 2]
    assert not np.array_equal(both[inside], two_faces()[inside])
    assert np.array_equal(np.asarray(model.draw(two_faces(), [])), two_faces())
    assert not np.array_equal(first, both)


def test_the_exif_orientation_of_an_image_is_applied(model: pocan.Model, tmp_path: Path) -> None:
    image = Image.fromarray(np.rot90(photograph()))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as opened:
        same(model.predict(opened)[0], model.predict(photograph())[0])


@pytest.mark.parametrize(
    ("picture", "error", "reason"),
    [
        (photograph().astype(np.float32) / 255, ValueError, "picture 1: float32 240×272×3; a picture's array is uint8"),
        (photograph()[..., 0], ValueError, "uint8 240×272"),
        (np.stack([photograph()] * 2), ValueError, "uint8 2×240×272×3; .*; several pictures are a list of arrays"),
        (photograph()[:0], ValueError, "uint8 0×272×3"),
        (7, TypeError, "picture 1: int; a picture is a path, the bytes of a file, a NumPy array or a Pillow image"),
        ([photograph(), None], TypeError, "picture 2: NoneType"),
        (b"no picture", pocan.PipelineError, "picture 1: not a picture in a known format"),
        ([bytearray(), "nowhere.jpg"], pocan.PipelineError, "picture 1: the file is empty; nowhere.jpg: no such file"),
        ("nowhere.jpg", pocan.PipelineError, "nowhere.jpg: no such file"),
    ],
)
def test_what_is_no_picture_is_refused(
    model: pocan.Model, picture: object, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        model.predict(picture)  # type: ignore[call-overload]


def test_a_model_is_loaded_with_other_values_of_its_faces(tmp_path: Path) -> None:
    write_adapted(tmp_path / "model")
    for values in ({"min_face": 150}, ["min_face=150"]):
        model = pocan.load_model(tmp_path / "model", device="cpu", faces=values)
        assert model.predictor.faces.min_face == 150
        assert len(model.predict(two_faces())) == 1
    with pytest.raises(pocan.PipelineError, match=r"faces\.min_fase: unknown key"):
        pocan.load_model(tmp_path / "model", faces={"min_fase": 60})
    with pytest.raises(pocan.PipelineError, match="device: 'gpu' is unknown"):
        pocan.load_model(tmp_path / "model", device="gpu")
    with pytest.raises(pocan.PipelineError, match=r"nowhere/model\.json: no such file"):
        pocan.load_model("nowhere")


def test_importing_loads_nothing_heavy() -> None:
    script = (
        "import sys, pocan\n"
        "from pocan import Face, Model, adapt, load_model\n"
        "print(*sorted({'torch', 'mlflow', 'cv2', 'numpy', 'pandas', 'PIL'} & set(sys.modules)))\n"
    )
    output = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert output.split() == []


def test_the_version_is_that_of_the_package() -> None:
    assert pocan.__version__ == version("pocan")
    answer = CliRunner().invoke(app, ["--version"])
    assert (answer.exit_code, answer.stdout) == (0, f"pocan {pocan.__version__}\n")


def test_python_and_the_command_adapt_with_the_same_defaults() -> None:
    command, function = (inspect.signature(each).parameters for each in (adapt_command, pocan.adapt))
    for name in ("model", "labels", "method", "choose", "search", "every", "device"):
        assert command[name].default == function[name].default
    assert command["file"].default == function["params"].default


def test_a_crop_is_embedded_as_the_face_that_is_found_there(model: pocan.Model) -> None:
    (face,) = model.predict(photograph())
    left, top, right, bottom = region(face.box, model.predictor.faces.margin, 272, 240)
    crop = photograph()[top:bottom, left:right]
    embeddings, probabilities = model.embed([crop, Image.fromarray(crop), noise(64, 64)])
    assert len(embeddings) == len(probabilities) == 3
    assert probabilities[0] == pytest.approx(list(face.probabilities.values()), abs=1e-4)
    assert np.array_equal(embeddings[0], embeddings[1])
    assert not np.allclose(embeddings[0], embeddings[2], atol=1e-4)
    with pytest.raises(ValueError, match="at least one"):
        model.embed([])
