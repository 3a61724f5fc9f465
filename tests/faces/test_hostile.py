"""Whatever lies in a folder ends in a crop or in a listed reason, never in a dead stage."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.data.crops import CropStore, read_description
from pipeline.datasets.folder import FolderDataset
from pipeline.datasets.parts.pictures import decoders
from pipeline.faces.extract import extract
from tests.datasets.test_pictures import png_header
from tests.faces import hostile
from tests.faces.scenes import photograph
from tests.faces.test_extract import PARAMS


def face() -> Image.Image:
    return Image.fromarray(photograph())


def saved(picture: Image.Image, form: str = "PNG", **options: object) -> Callable[[Path], None]:
    return lambda path: picture.save(path, form, **options)


def truncated(path: Path) -> None:
    face().save(path)
    path.write_bytes(path.read_bytes()[:2000])


def in_sixteen_bits(path: Path) -> None:
    Image.fromarray(photograph()[..., 1].astype(np.uint16) * 257).save(path)


def with_alpha(path: Path) -> None:
    face().convert("RGBA").save(path)


def rotated_by_exif(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90° clockwise
    face().transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


def animated(path: Path) -> None:
    face().save(path, save_all=True, append_images=[Image.new("RGB", face().size, "blue")])


def link_out_of_the_folder(path: Path) -> None:
    target = path.parents[1] / "elsewhere.png"
    face().save(target)
    path.symlink_to(target)


def twenty_thousand_squared(path: Path) -> None:
    path.write_bytes(png_header(20_000, 20_000))


MTCNN = "mtcnn"
CASES: list[tuple[str, Callable[[Path], object], str]] = [
    # name, how the file is made, the method of its crop or what its reason says
    ("truncated.png", truncated, "truncated|cut|broken"),
    ("zero-byte.jpg", Path.touch, "the file is empty"),
    ("one-pixel.png", saved(Image.new("RGB", (1, 1), "red")), "whole"),
    ("huge.png", twenty_thousand_squared, "pixels"),
    ("sixteen-bits.png", in_sixteen_bits, MTCNN),
    ("cmyk.jpg", saved(face().convert("CMYK"), "JPEG"), MTCNN),
    ("alpha.png", with_alpha, MTCNN),
    ("exif.jpg", rotated_by_exif, MTCNN),
    ("animated.gif", animated, MTCNN),
    ("animated.webp", animated, MTCNN),
    ("png-inside.jpg", saved(face()), MTCNN),
    ("text.png", lambda path: path.write_text("<html>404</html>"), "not a picture"),
    ("link.png", link_out_of_the_folder, MTCNN),
    ("broken-link.png", lambda path: path.symlink_to("/nowhere/at/all.png"), "no such file"),
    ("link-to-itself.png", lambda path: path.symlink_to(path), "symbolic link"),
    ("folder.png", Path.mkdir, "unlisted"),
    ("pipe.png", os.mkfifo, "not a regular file"),
    ("with spaces, commas and 'quotes'.png", saved(face()), MTCNN),
    ("лицо-顔-😀.png", saved(face()), MTCNN),
    ("line\nbreak.png", saved(face()), MTCNN),
    ("palette.png", saved(face().convert("P")), MTCNN),
    ("one-bit.png", saved(Image.new("1", (40, 40))), "whole"),
    ("strip.png", saved(Image.new("L", (3000, 2))), "whole"),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("processes", [1, 2])
def test_each_file_ends_in_a_crop_or_a_reason(tmp_path: Path, processes: int) -> None:
    for name, make, _ in CASES:
        (tmp_path / "album").mkdir(exist_ok=True)
        make(tmp_path / "album" / name)
    dataset = FolderDataset(tmp_path / "album", "album")
    extract(dataset, tmp_path / "store", tmp_path / "work", PARAMS, 1.0, torch.device("cpu"), processes)
    store = CropStore.open(tmp_path / "store")
    methods = dict(zip(store.manifest["key"], store.manifest["method"], strict=True))
    reasons = read_description(store.folder)["unreadable"]
    assert not set(methods) & set(reasons)
    for name, _, expected in CASES:
        if expected in (MTCNN, "whole"):
            assert methods.get(name) == expected, (name, reasons.get(name))
        elif expected == "unlisted":
            assert name not in {*methods, *reasons}
        else:
            assert any(word in reasons.get(name, "") for word in expected.split("|")), (name, reasons.get(name))
    assert len(methods) + len(reasons) == len(CASES) - 1
    # The orientation that the camera noted was applied: the face stands upright, where the plain picture has it.
    boxes = dict(zip(store.manifest["key"], store.manifest["box"], strict=True))
    np.testing.assert_allclose(boxes["exif.jpg"], boxes["alpha.png"], atol=5.0)


def test_a_file_that_may_not_be_read_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("open.png", "shut.png"):
        (tmp_path / "album").mkdir(exist_ok=True)
        face().save(tmp_path / "album" / name)
    opening = Path.open

    def refusing(self: Path, *arguments: object, **options: object) -> object:
        # Permission bits do not stop the superuser, who may be running this test.
        if self.name == "shut.png":
            raise PermissionError(13, "Permission denied", str(self))
        return opening(self, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refusing)
    dataset = FolderDataset(tmp_path / "album", "album")
    extract(dataset, tmp_path / "store", tmp_path / "work", PARAMS, 1.0, torch.device("cpu"), 1)
    store = CropStore.open(tmp_path / "store")
    assert store.manifest["key"].tolist() == ["open.png"]
    assert "Permission denied" in read_description(store.folder)["unreadable"]["shut.png"]


@pytest.mark.slow
@pytest.mark.parametrize("form", decoders())
def test_damaged_files_of_every_format_end_in_a_crop_or_a_reason(tmp_path: Path, form: str) -> None:
    names = hostile.write(tmp_path / "album", form, 40)
    ends = hostile.outcome(tmp_path / "album", tmp_path / "out", names)
    assert len(ends) == 40
    reasons = [end for end in ends.values() if ": " in end]
    assert 0 < len(reasons) < 40
    assert not [reason for reason in reasons if "\n" in reason]
