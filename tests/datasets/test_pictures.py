"""Decoding: every mode becomes RGB, every broken file an error with a reason."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.parts import pictures
from pipeline.datasets.parts.pictures import MAX_PIXELS, decode, is_picture
from pipeline.errors import UnreadableImageError
from tests.datasets.drawing import save


def png_header(width: int, height: int) -> bytes:
    """A PNG file that claims a size and holds no pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


ENDINGS = ("avif", "bmp", "gif", "jpg", "jpeg", "pgm", "png", "tif", "tiff", "webp")


@pytest.mark.parametrize("name", [f"a.{ending}" for ending in ENDINGS])
def test_every_format_is_decoded_to_rgb_of_its_size(tmp_path: Path, name: str) -> None:
    picture = decode(save(tmp_path / name), name)

    assert picture.shape == (7, 9, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 10


@pytest.mark.parametrize(("mode", "name"), [("L", "a.png"), ("1", "a.png"), ("L", "a.tiff"), ("L", "a.jpg")])
def test_grey_is_repeated_to_three_channels(tmp_path: Path, mode: str, name: str) -> None:
    path = save(tmp_path / name, mode)

    picture = decode(path, name)

    expected = np.asarray(Image.open(path).convert("L"))
    np.testing.assert_array_equal(picture, np.stack([expected] * 3, axis=2))


def test_palette_colours_are_looked_up(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    image.save(tmp_path / "a.png")

    np.testing.assert_array_equal(decode(tmp_path / "a.png", "a.png"), [[[10, 20, 30], [200, 100, 50]]])


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (2, 1))
    image.putdata([(200, 0, 0, 255), (200, 0, 0, 0)])
    image.save(tmp_path / "a.png")

    np.testing.assert_array_equal(decode(tmp_path / "a.png", "a.png"), [[[200, 0, 0], [255, 255, 255]]])


@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path, name: str) -> None:
    Image.fromarray(np.array([[0, 257 * 100, 65535]], dtype=np.uint16)).save(tmp_path / name)

    assert decode(tmp_path / name, name)[0, :, 0].tolist() == [0, 100, 255]


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)

    red, green, blue = decode(tmp_path / "a.jpg", "a.jpg")[4, 4]
    assert red > 200
    assert max(green, blue) < 60


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show rotated by 90° clockwise
    Image.fromarray(np.array([[0, 0, 0, 255]], dtype=np.uint8)).save(tmp_path / "a.png", exif=exif)

    assert decode(tmp_path / "a.png", "a.png")[:, 0, 0].tolist() == [0, 0, 0, 255]


def test_first_frame_of_an_animation_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])

    np.testing.assert_array_equal(decode(tmp_path / "a.gif", "a.gif")[0, 0], [255, 0, 0])


@pytest.mark.parametrize("name", ["a.bmp", "a.gif", "a.jpg", "a.pgm", "a.png", "a.tiff", "a.webp"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_file_cut_short_is_unreadable(tmp_path: Path, name: str, share: float) -> None:
    path = save(tmp_path / name, size=(64, 64))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])

    with pytest.raises(UnreadableImageError, match=rf"^sub/{name}: ."):
        decode(path, f"sub/{name}")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"<html>404 not found</html>", "not a picture in a known format"),
        (b"\x89PNG\r\n\x1a\n", "."),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture in a known format"),
        (png_header(40_000, 40_000), "too many pixels"),
    ],
    ids=["empty", "text", "only-signature", "postscript", "bomb"],
)
def test_what_is_no_picture_is_unreadable_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)

    with pytest.raises(UnreadableImageError, match=f"^a.png: .*{reason}"):
        decode(path, "a.png")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_just_above_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_header(MAX_PIXELS // 9_000 + 1, 9_000))

    with pytest.raises(UnreadableImageError, match="pixels are too many"):
        decode(path, "a.png")


def test_floating_point_samples_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((3, 3), dtype=np.float32)).save(tmp_path / "a.tiff")

    with pytest.raises(UnreadableImageError, match="floating-point"):
        decode(tmp_path / "a.tiff", "a.tiff")


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match=r"^x/a\.png: no such file$"):
        decode(tmp_path / "a.png", "x/a.png")


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow on damaged TIFF tags
def test_what_stands_in_a_file_is_decoded_as_the_file_is(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg")
    content = path.read_bytes()
    np.testing.assert_array_equal(decode(content, "first"), decode(path, "first"))
    for damaged, reason in ((b"", "the file is empty"), (b"text", "not a picture"), (content[:200], "[Tt]runcated")):
        with pytest.raises(UnreadableImageError, match=f"^first: .*{reason}"):
            decode(damaged, "first")


def test_damaged_bytes_never_raise_anything_else(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    outcomes = {"decoded": 0, "refused": 0}
    for name in ("a.gif", "a.jpg", "a.png", "a.tiff", "a.webp"):
        intact = np.frombuffer(save(tmp_path / name, "RGB", (16, 16)).read_bytes(), dtype=np.uint8)
        for _ in range(40):
            damaged = intact.copy()
            damaged[rng.integers(0, len(damaged), 4)] = rng.integers(0, 256, 4)
            (tmp_path / name).write_bytes(damaged.tobytes())
            try:
                picture = decode(tmp_path / name, name)
            except UnreadableImageError:
                outcomes["refused"] += 1
            else:
                outcomes["decoded"] += 1
                assert picture.dtype == np.uint8
                assert picture.shape[2:] == (3,)
    assert min(outcomes.values()) > 10


def test_which_names_are_pictures() -> None:
    assert [name for name in ("a.JPG", "b.tiff", "._a.jpg", ".a.png", "a.txt", "png") if is_picture(Path(name))] == [
        "a.JPG",
        "b.tiff",
    ]


@pytest.mark.parametrize("ending", ["jfif", "jpe", "JPG", "JFIF"])
def test_other_endings_of_jpeg_are_jpeg(tmp_path: Path, ending: str) -> None:
    path = save(tmp_path / "a.jpg").rename(tmp_path / f"a.{ending}")
    assert is_picture(path)
    assert decode(path, path.name).shape == (7, 9, 3)


def test_heic_is_read_where_its_package_is_and_named_where_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pixels = np.random.Generator(np.random.PCG64(0)).integers(0, 255, (64, 80, 3), dtype=np.uint8)
    path = tmp_path / "IMG_0001.HEIC"
    pillow_heif.from_bytes("RGB", (80, 64), pixels.tobytes()).save(path)
    assert is_picture(path)
    assert decode(path, path.name).shape == (64, 80, 3)
    monkeypatch.setattr(pictures, "_reads_heif", lambda: False)
    with pytest.raises(UnreadableImageError, match=r"IMG_0001\.HEIC: a HEIC picture, .* pip install 'pocan\[heic\]'"):
        decode(path, path.name)


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "tif", "webp", "avif"])
@pytest.mark.parametrize("name", ["portrait", "portrait.backup"])
def test_a_name_that_says_nothing_is_decided_by_content(tmp_path: Path, suffix: str, name: str) -> None:
    path = save(tmp_path / f"a.{suffix}").rename(tmp_path / name)
    assert is_picture(path)
    assert decode(path, name).shape == (7, 9, 3)


@pytest.mark.parametrize(
    "content", [b"", b"hello, world", b"\x00\x00\x00\x20ftypisom\x00\x00", b"RIFF\x00\x00\x00\x00WAVE"]
)
def test_what_does_not_begin_as_a_picture_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    assert not is_picture(path)
    assert not is_picture(tmp_path / "gone.dat")


def test_tables_beside_pictures_are_not_looked_into(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png").rename(tmp_path / "a.txt")
    assert not is_picture(path)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("exif", [b"Exif\0\0junk", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"Exif\0\0"])
def test_damaged_exif_data_cost_no_picture(tmp_path: Path, form: str, exif: bytes) -> None:
    picture = Image.new("RGB", (9, 7), "red")
    picture.save(tmp_path / "a", form, exif=exif)

    assert decode(tmp_path / "a", "a").shape == (7, 9, 3)
